#pragma once
/* What tells one load of a bundle from another: see plan->identity. */
#include <lua.h>

/* Of the plan's table at the top of the stack, whose bundle has that hash:
 * resolved = { { name = 'env NAME', value = '...' }, ... }, sorted. */
void identity_of(lua_State *L, const char *hash, char out[65]);

#pragma once
/* What the Lua half needs before ffi is set up: files, environment, types,
 * and the text of model/api.h. It is the module 'tidemill.host'. */
#include <lauxlib.h>
#include <lua.h>

struct bundle;

/* Pushes what read() gives. */
void host_push_bundle(lua_State *L, const struct bundle *b);
int luaopen_tidemill_host(lua_State *L);
/* The same for the binary itself, where ffi.C finds the tm_* functions. */
int host_open_binary(lua_State *L);

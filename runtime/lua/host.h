#pragma once
/* What the Lua half needs before ffi is set up: files, environment, types,
 * and the text of base/api.h. It is the module 'tidemill.host'. */
#include <lauxlib.h>
#include <lua.h>

/* In the registry, after read() gave nothing: true when the machine was short
 * of something, so that nobody can mend the pipeline. */
#define HOST_IS_SHORT "tidemill.is_short"

int luaopen_tidemill_host(lua_State *L);
/* The same for the binary itself, where ffi.C finds the tm_* functions. */
int host_open_binary(lua_State *L);

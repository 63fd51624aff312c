/*
 * vm_test(): the specs of a bundle under busted, inside this binary, so that
 * `require 'tidemill.testing'` runs projections on the real decoder and rows.
 * Specs may use all of Lua; the projections that they load run in the sandbox.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "base/say.h"
#include "lua/host.h"
#include "lua/vm.h"

/* Debian's lua-busted is installed for Lua 5.1, which LuaJIT's own default
 * path does not name on every machine. */
static const char RUN[] =
    "local scripts, open_host, verb, arguments = ...\n"
    "package.preload['tidemill.host'] = open_host\n"
    "package.path = scripts .. '/?.lua;' .. package.path ..\n"
    "  ';/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua'\n"
    "package.cpath = package.cpath .. "
    "';/usr/lib/x86_64-linux-gnu/lua/5.1/?.so'\n"
    "  .. ';/usr/lib/aarch64-linux-gnu/lua/5.1/?.so'\n"
    "return require('tidemill.specs')[verb](arguments)\n";

/* Stack: the function of specs.lua to call, its arguments. Leaves the exit status,
 * and the words for whoever typed the verb, or nil. */
static int run_specs(lua_State *L)
{
    if (luaL_loadbuffer(L, RUN, sizeof(RUN) - 1, "=test") != 0) {
        return lua_error(L);
    }
    lua_pushstring(L, vm_scripts_dir());
    lua_pushcfunction(L, host_open_binary);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 4, 2);
    return 2;
}

static int run_verb(const char *verb, const char *path, int argc, char **argv)
{
    lua_State *L = luaL_newstate();
    int status = 70; /* EX_SOFTWARE */

    if (!L) {
        complain("tidemill: out of memory\n");
        return status;
    }
    luaL_openlibs(L);
    lua_pushcfunction(L, run_specs);
    lua_pushstring(L, verb);
    lua_createtable(L, argc + 1, 0);
    lua_pushstring(L, path);
    lua_rawseti(L, -2, 1);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i + 2);
    }
    if (lua_pcall(L, 2, 2, 0) == 0) {
        status = (int)lua_tointeger(L, -2);
        if (lua_isstring(L, -1)) {
            complain("%s\n", lua_tostring(L, -1));
        }
    } else {
        const char *why = lua_tostring(L, -1);

        complain("tidemill: %s\n", why ? why : "the specs ended early");
    }
    lua_close(L);
    return status;
}

int vm_test(const char *path, int argc, char **argv)
{
    return run_verb("run", path, argc, argv);
}

int vm_examples(const char *path)
{
    return run_verb("examples", path, 0, NULL);
}

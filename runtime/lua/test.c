/*
 * vm_test(): the specs of a bundle under busted, inside this binary, so that
 * `require 'tidemill.testing'` runs projections on the real decoder and rows.
 * Specs may use all of Lua; the projections that they load run in the sandbox.
 * Nothing of it is compiled: a handler that does not end must be found.
 */
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/arena.h"
#include "base/loop.h"
#include "base/say.h"
#include "lua/budget.h"
#include "lua/bundle.h"
#include "lua/host.h"
#include "lua/scripts.h"
#include "lua/vm.h"

/* What specs and all that they make may take; a run has half of it. */
static const uint64_t TEST_MAX_BYTES = 1ULL << 30;
/* CPU time of one block of a spec, or one example. */
enum { TEST_SECONDS = 60, TEST_MOST_SECONDS = 86400 };

/* Debian's lua-busted is installed for Lua 5.1, which LuaJIT's own default
 * path does not name on every machine. */
static const char RUN[] =
    "local scripts, open_host, begin, say, verb, subject = ...\n"
    "package.preload['tidemill.host'] = open_host\n"
    "package.path = scripts .. '/?.lua;' .. package.path ..\n"
    "  ';/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua'\n"
    "package.cpath = package.cpath .. "
    "';/usr/lib/x86_64-linux-gnu/lua/5.1/?.so'\n"
    "  .. ';/usr/lib/aarch64-linux-gnu/lua/5.1/?.so'\n"
    "return require('tidemill.testing.specs')[verb](subject, begin, say)\n";

struct session {
    const char *verb; /* function of specs.lua */
    const char *path;
    const struct bundle *bundle; /* what the verb is given; or else */
    int argc;                    /* the path and what is behind it */
    char **argv;
    int status_of_failure;
    int status;
};

/* Something begins that has a time of its own. */
static int begin(lua_State *L)
{
    budget_rewind(L);
    return 0;
}

/* As all words of a verb: into a document, where it makes one. */
static int say_text(lua_State *L)
{
    say("%s", luaL_checkstring(L, 1));
    return 0;
}

static void push_subject(lua_State *L, const struct session *s)
{
    if (s->bundle) {
        host_push_bundle(L, s->bundle);
        return;
    }
    lua_createtable(L, s->argc + 1, 0);
    lua_pushstring(L, s->path);
    lua_rawseti(L, -2, 1);
    for (int i = 0; i < s->argc; i++) {
        lua_pushstring(L, s->argv[i]);
        lua_rawseti(L, -2, i + 2);
    }
}

/* Runs under lua_cpcall. */
static int run_specs(lua_State *L)
{
    struct session *s = lua_touserdata(L, 1);

    luaL_openlibs(L); /* switches the compiler on */
    budget_interpret(L, true);
    if (luaL_loadbuffer(L, RUN, sizeof(RUN) - 1, "=test") != 0) {
        return lua_error(L);
    }
    lua_pushstring(L, scripts_dir());
    lua_pushcfunction(L, host_open_binary);
    lua_pushcfunction(L, begin);
    lua_pushcfunction(L, say_text);
    lua_pushstring(L, s->verb);
    push_subject(L, s);
    lua_call(L, 6, 2); /* the exit status, and words for people or nil */
    s->status = (int)lua_tointeger(L, -2);
    if (lua_isstring(L, -1)) {
        complain("%s\n", lua_tostring(L, -1));
    }
    return 0;
}

/* 0: what was said is no number of seconds. */
static usec limit_usec(void)
{
    const char *said = getenv("TIDEMILL_TEST_SECONDS");
    char *end = NULL;
    long n = said && *said ? strtol(said, &end, 10) : TEST_SECONDS;

    if ((end && *end) || n < 1 || n > TEST_MOST_SECONDS) {
        complain("tidemill test: TIDEMILL_TEST_SECONDS is '%s': it must be a "
                 "whole number from 1 to %d\n",
                 said, TEST_MOST_SECONDS);
        return 0;
    }
    return (usec)n * 1000000;
}

static void run_watched(lua_State *L, struct budget *b, struct session *s,
                        const struct budget_rule *rule)
{
    budget_watch(L, rule);
    b->max_bytes = TEST_MAX_BYTES;
    if (lua_cpcall(L, run_specs, s) != 0) {
        const char *why = lua_tostring(L, -1);

        complain("tidemill: %s\n", why ? why : "the specs ended early");
    }
    b->max_bytes = UINT64_MAX;
    budget_unwatch(L);
}

/* Of a bundle that is named by its file or by itself. */
static void folder_of(const char *path, char out[PATH_MAX])
{
    size_t len = strlen(path);
    char *slash;

    snprintf(out, PATH_MAX, "%s", path);
    if (len > 4 && strcmp(path + len - 4, ".lua") == 0) {
        slash = strrchr(out, '/');
        snprintf(slash ? slash : out, 2, "%s", slash ? "" : ".");
    }
}

static int run_verb(struct session *s)
{
    char folder[PATH_MAX];
    const struct budget_rule rule = {
        .limit = limit_usec(),
        .folder = folder,
        .goes_on = true,
        .slow = "a handler, an example and a block of a "
                "spec must come to an end; is there a loop that does not? "
                "TIDEMILL_TEST_SECONDS gives more time",
        .hungry = "the specs took more than 1 GiB of memory: keep less in "
                  "tables and texts",
        .status = s->status_of_failure,
    };
    struct budget b = {.max_bytes = UINT64_MAX};

    folder_of(s->path, folder);
    if (rule.limit == 0) {
        return EX_CONFIG;
    }
    lua_State *L = budget_open(&b);
    s->status = EX_SOFTWARE;
    run_watched(L, &b, s, &rule);
    budget_close(L);
    return s->status;
}

int vm_test(const char *path, int argc, char **argv)
{
    struct session s = {.verb = "run",
                        .path = path,
                        .argc = argc,
                        .argv = argv,
                        .status_of_failure = 1};

    return run_verb(&s);
}

int vm_examples(const struct bundle *b)
{
    struct session s = {.verb = "examples",
                        .path = b->pipeline.path,
                        .bundle = b,
                        .status_of_failure = EX_CONFIG};

    return run_verb(&s);
}

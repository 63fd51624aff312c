/* load.lua: see generator.h. The stack holds, while a script is open:
 * 1 the script's table, 2 next, 3 random. */
#include "lua/generator.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

#include <sysexits.h>

#include "base/arena.h"
#include "lua/budget.h"

static const uint64_t MAX_BYTES = 512ULL << 20;

static const usec LIMIT = 10000000;
static const char HUNGRY[] = "load.lua took more than 512 MiB of memory: keep "
                             "less in tables and texts";

enum { AT_SCRIPT = 1, AT_NEXT, AT_RANDOM, AT_EVENT };

struct generator {
    lua_State *lua;
    struct budget budget;
    struct budget_rule rule; /* of next */
    char place[BUDGET_PLACE];
    bool is_watched;
    const char *file; /* borrowed */
    double rate;
};

static bool wants(const struct generator *s, const char *what, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s: %s; it returns { topics = { ['a topic'] = { "
                   "partitions = 4 } }, rate = 1000, next = function(n, "
                   "random) ... end }",
                   s->file, what);
}

/* Without metamethods, which may raise where nothing protects. */
static void get(lua_State *lua, int table, const char *name)
{
    lua_pushstring(lua, name);
    lua_rawget(lua, table);
}

/* The only place where the script runs: the memory of all else has no limit,
 * since nothing protects it. As lua_pcall. */
static bool call(struct generator *s, int n_args, enum err_class class,
                 struct err *e)
{
    s->budget.max_bytes = MAX_BYTES;
    int status = lua_pcall(s->lua, n_args, 1, 0);
    s->budget.max_bytes = UINT64_MAX;
    if (status == 0) {
        return true;
    }
    const char *why = lua_tostring(s->lua, -1);
    return err_set(e, class, "%s", why ? why : "it raised no text");
}

static bool run_file(struct generator *s, struct err *e)
{
    const struct budget_rule rule = {
        .limit = LIMIT,
        .slow = "what stands in the file itself must come to an end; is there "
                "a loop that does not?",
        .hungry = HUNGRY,
        .status = EX_CONFIG,
    };

    if (luaL_loadfile(s->lua, s->file) != 0) {
        return err_set(e, ERR_CONFIG, "%s", lua_tostring(s->lua, -1));
    }
    budget_watch(s->lua, &rule);
    bool ok = call(s, 0, ERR_CONFIG, e);
    budget_unwatch(s->lua);
    return ok;
}

/* For function next, which is on top of the stack. It stays compiled: what it
 * takes is what `dev` can show. */
static void set_rule(struct generator *s)
{
    lua_Debug at = {.linedefined = 0};

    lua_pushvalue(s->lua, -1);
    lua_getinfo(s->lua, ">S", &at);
    snprintf(s->place, sizeof(s->place), "%.380s:%d: ", s->file,
             at.linedefined);
    s->rule = (struct budget_rule){
        .limit = LIMIT,
        .place = s->place,
        .slow = "next must come to an end for each event; is there a loop that "
                "does not?",
        .hungry = HUNGRY,
        .status = EX_CONFIG,
    };
}

static bool load(struct generator *s, struct err *e)
{
    lua_State *lua = s->lua;
    luaL_openlibs(lua);
    if (!run_file(s, e)) {
        return false;
    }
    if (!lua_istable(lua, AT_SCRIPT)) {
        return wants(s, "it returned no table", e);
    }
    get(lua, AT_SCRIPT, "rate");
    s->rate = lua_tonumber(lua, -1);
    lua_settop(lua, AT_SCRIPT);
    get(lua, AT_SCRIPT, "next"); /* 2 */
    if (!lua_isfunction(lua, AT_NEXT)) {
        return wants(s, "next is no function", e);
    }
    set_rule(s);
    return luaL_dostring(lua, "math.randomseed(1) return math.random") == 0;
}

struct generator *generator_open(const char *file, struct err *e)
{
    struct generator *s = mem_zero(1, sizeof(*s));
    s->file = file;
    s->budget.max_bytes = UINT64_MAX;
    s->lua = budget_open(&s->budget);
    if (!load(s, e)) {
        generator_close(s);
        return NULL;
    }
    return s;
}

void generator_close(struct generator *s)
{
    if (s->is_watched) {
        budget_unwatch(s->lua);
    }
    budget_close(s->lua);
    free(s);
}

uint32_t generator_partitions(struct generator *s, const char *topic)
{
    lua_State *lua = s->lua;
    lua_Integer n = 0;
    get(lua, AT_SCRIPT, "topics");
    if (lua_istable(lua, -1)) {
        get(lua, lua_gettop(lua), topic);
        if (lua_istable(lua, -1)) {
            get(lua, lua_gettop(lua), "partitions");
            n = lua_isnumber(lua, -1) ? lua_tointeger(lua, -1) : 1;
        }
    }
    lua_settop(lua, AT_RANDOM);
    return n < 1 ? 0 : (uint32_t)n;
}

double generator_rate(const struct generator *s)
{
    return s->rate;
}

/* A text field of the event; the event keeps it alive. */
static const char *text_field(lua_State *lua, const char *name, size_t *len)
{
    get(lua, AT_EVENT, name);
    return lua_tolstring(lua, -1, len);
}

static void read_headers(lua_State *lua, struct generator_record *out)
{
    const uint32_t most = sizeof(out->headers) / sizeof(*out->headers);
    out->n_headers = 0;
    get(lua, AT_EVENT, "headers");
    if (!lua_istable(lua, -1)) {
        return;
    }
    lua_pushnil(lua);
    while (out->n_headers < most && lua_next(lua, -2) != 0) {
        struct record_header *h = &out->headers[out->n_headers];
        /* Numbers would be changed in place, which confuses lua_next. */
        if (lua_type(lua, -2) == LUA_TSTRING &&
            lua_type(lua, -1) == LUA_TSTRING) {
            h->name = lua_tostring(lua, -2);
            h->value = lua_tolstring(lua, -1, &h->len);
            out->n_headers++;
        }
        lua_pop(lua, 1);
    }
}

bool generator_next(struct generator *s, uint64_t n,
                    struct generator_record *out, struct err *e)
{
    lua_State *lua = s->lua;
    e->class = ERR_NONE;
    lua_settop(lua, AT_RANDOM);
    lua_pushvalue(lua, AT_NEXT);
    lua_pushnumber(lua, (lua_Number)n);
    lua_pushvalue(lua, AT_RANDOM);
    if (!s->is_watched) {
        budget_watch(lua, &s->rule);
        s->is_watched = true;
    }
    budget_rewind(lua);
    if (!call(s, 2, ERR_SCRIPT, e)) { /* 4: the event */
        return false;
    }
    if (lua_isnil(lua, AT_EVENT)) {
        return false;
    }
    if (!lua_istable(lua, AT_EVENT)) {
        return wants(s, "next returned neither a table nor nil", e);
    }
    size_t unused;
    out->topic = text_field(lua, "topic", &unused);
    out->key = text_field(lua, "key", &out->key_len);
    out->value = text_field(lua, "value", &out->value_len);
    read_headers(lua, out);
    return out->topic != NULL || wants(s, "an event has no topic", e);
}

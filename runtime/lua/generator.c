/* load.lua: see generator.h. The stack holds, while a script is open:
 * 1 the script's table, 2 next, 3 random. */
#include "lua/generator.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>

#include "base/arena.h"

enum { AT_SCRIPT = 1, AT_NEXT, AT_RANDOM, AT_EVENT };

struct generator {
    lua_State *lua;
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

static bool load(struct generator *s, struct err *e)
{
    lua_State *lua = s->lua;
    luaL_openlibs(lua);
    if (luaL_dofile(lua, s->file) != 0) {
        return err_set(e, ERR_CONFIG, "%s", lua_tostring(lua, -1));
    }
    lua_settop(lua, AT_SCRIPT);
    if (!lua_istable(lua, AT_SCRIPT)) {
        return wants(s, "it returned no table", e);
    }
    lua_getfield(lua, AT_SCRIPT, "rate");
    s->rate = lua_tonumber(lua, -1);
    lua_settop(lua, AT_SCRIPT);
    lua_getfield(lua, AT_SCRIPT, "next"); /* 2 */
    if (!lua_isfunction(lua, AT_NEXT)) {
        return wants(s, "next is no function", e);
    }
    return luaL_dostring(lua, "math.randomseed(1) return math.random") == 0;
}

struct generator *generator_open(const char *file, struct err *e)
{
    struct generator *s = mem_zero(1, sizeof *s);
    s->file = file;
    s->lua = luaL_newstate();
    must(s->lua != NULL);
    if (!load(s, e)) {
        generator_close(s);
        return NULL;
    }
    return s;
}

void generator_close(struct generator *s)
{
    lua_close(s->lua);
    free(s);
}

uint32_t generator_partitions(struct generator *s, const char *topic)
{
    lua_State *lua = s->lua;
    lua_Integer n = 0;
    lua_getfield(lua, AT_SCRIPT, "topics");
    if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, topic);
        if (lua_istable(lua, -1)) {
            lua_getfield(lua, -1, "partitions");
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
    lua_getfield(lua, AT_EVENT, name);
    return lua_tolstring(lua, -1, len);
}

static void read_headers(lua_State *lua, struct generator_record *out)
{
    const uint32_t most = sizeof out->headers / sizeof *out->headers;
    out->n_headers = 0;
    lua_getfield(lua, AT_EVENT, "headers");
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
    if (lua_pcall(lua, 2, 1, 0) != 0) { /* 4: the event */
        return err_set(e, ERR_SCRIPT, "%s", lua_tostring(lua, -1));
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

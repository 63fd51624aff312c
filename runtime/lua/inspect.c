/* Records into the tables of scripts/tidemill/inspect, and findings out of
 * them; see inspect.h. */
#include "lua/inspect.h"

#include "lua/vm_call.h"

static void set_bytes(lua_State *L, const char *name, const char *p, size_t len)
{
    if (p) {
        lua_pushlstring(L, p, len);
        lua_setfield(L, -2, name);
    }
}

static void set_number(lua_State *L, const char *name, int64_t n)
{
    lua_pushnumber(L, (lua_Number)n);
    lua_setfield(L, -2, name);
}

/* { { name, value or false }, … } */
static void push_headers(lua_State *L, const struct inspection *q,
                         const struct record *r)
{
    struct record_header h;

    lua_newtable(L); /* {} */
    for (uint32_t i = 0; q->header_at(r->message, i, &h); i++) {
        lua_createtable(L, 2, 0); /* {}, header */
        lua_pushstring(L, h.name);
        lua_rawseti(L, -2, 1);
        if (h.value) {
            lua_pushlstring(L, h.value, h.len);
        } else {
            lua_pushboolean(L, false);
        }
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (int)i + 1); /* {} */
    }
}

static void push_record(lua_State *L, const struct inspection *q, uint32_t i)
{
    const struct record *r = &q->records[i];

    lua_createtable(L, 0, 8); /* {} */
    lua_pushstring(L, r->topic);
    lua_setfield(L, -2, "topic");
    set_number(L, "partition", r->partition);
    set_number(L, "offset", r->offset);
    set_number(L, "time_ms", r->time_ms);
    set_bytes(L, "key", r->key, r->key_len);
    set_bytes(L, "value", r->value, r->value_len);
    push_headers(L, q, r);
    lua_setfield(L, -2, "headers");
    lua_pushboolean(L, q->passed[i]);
    lua_setfield(L, -2, "is_passed"); /* {} */
}

static void push(lua_State *L, const struct inspection *q)
{
    lua_pushlightuserdata(L, (void *)q->plan);
    lua_pushnumber(L, q->topic + 1);
    lua_pushnumber(L, q->n_partitions);
    lua_createtable(L, (int)q->n, 0); /* plan, topic, partitions, records */
    for (uint32_t i = 0; i < q->n; i++) {
        push_record(L, q, i);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* NULL: the field is nil. */
static const char *take_text(lua_State *L, const char *name, struct arena *a)
{
    size_t len;

    lua_getfield(L, -1, name);
    const char *p = lua_tolstring(L, -1, &len);
    const char *text = p ? arena_dup(a, p, len) : NULL;
    lua_pop(L, 1);
    return text;
}

static struct finding take_finding(lua_State *L, const struct inspection *q,
                                   struct arena *a)
{
    struct finding f = {.what = take_text(L, "what", a),
                        .hint = take_text(L, "hint", a)};

    lua_getfield(L, -1, "is_warning");
    lua_getfield(L, -2, "at"); /* finding, is_warning, at */
    f.is_warning = lua_toboolean(L, -2);
    f.record = lua_isnil(L, -1) ? NULL : &q->records[lua_tointeger(L, -1) - 1];
    lua_pop(L, 2);
    return f;
}

static void take(lua_State *L, const struct inspection *q, struct arena *a,
                 struct inspected *out)
{
    out->summary = take_text(L, "summary", a);
    out->keys = take_text(L, "keys", a);
    lua_getfield(L, -1, "findings"); /* found, findings */
    out->n = (uint32_t)lua_objlen(L, -1);
    out->list = arena_zero(a, (out->n + 1) * sizeof(*out->list));
    for (uint32_t i = 0; i < out->n; i++) {
        lua_rawgeti(L, -1, (int)i + 1);
        out->list[i] = take_finding(L, q, a);
        lua_pop(L, 1);
    }
    lua_pop(L, 1); /* found */
}

bool vm_inspect(struct vm *v, const struct inspection *q, struct arena *a,
                struct inspected *out, struct err *e)
{
    lua_State *L = vm_begin(v, "inspect");

    push(L, q);
    if (!vm_end(v, 4, e)) {
        return false;
    }
    take(L, q, a, out);
    lua_pop(L, 1);
    return true;
}

/* See decide.h. */
#include "lua/decide.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/budget.h"

/* A rule looks at a few fields; this many instructions are a tenth of a second,
 * and a rule that never ends must not cost the worker. */
enum { RULE_INSTRUCTIONS = 10 * 1000 * 1000, RULE_ARGUMENTS = 10 };

static const char *const ACTIONS[] = {
    [ACTION_RETRY] = "retry",
    [ACTION_BISECT] = "bisect",
    [ACTION_DEAD_LETTER] = "dead_letter",
    [ACTION_HOLD] = "hold",
    [ACTION_HALT] = "halt",
};
EACH(ACTIONS, FAILURE_ACTIONS);

static void stop_rule(lua_State *L, lua_Debug *info)
{
    (void)info;
    /* Again and again, so that no pcall of the rule swallows it. */
    lua_sethook(L, stop_rule, LUA_MASKCOUNT, 1);
    lua_pushliteral(L, "the failure rule did not come to an end: it was "
                       "stopped after 10 million instructions");
    lua_error(L);
}

/* The arguments of boot.decide: the fields as failure.lua lists them. */
static void push_arguments(lua_State *L, const struct question *q)
{
    const struct failure *f = q->failure;

    luaL_checkstack(L, RULE_ARGUMENTS + 4, NULL);
    lua_pushboolean(L, q->by_stock);
    lua_pushstring(L, err_class_name(f->class));
    lua_pushstring(L, f->sqlstate ? f->sqlstate : "");
    lua_pushstring(L, f->message ? f->message : "");
    lua_pushnumber(L, f->attempts);
    lua_pushnumber(L, f->n_records);
    lua_pushboolean(L, f->has_others);
    if (f->topic) {
        lua_pushstring(L, f->topic);
        lua_pushinteger(L, f->partition);
        lua_pushnumber(L, (lua_Number)f->offset);
    } else {
        lua_pushnil(L);
        lua_pushnil(L);
        lua_pushnil(L);
    }
}

/* The count hook is not seen by compiled loops, so that nothing is compiled
 * while a rule runs. */
static int call_bounded(lua_State *L, int trace)
{
    int status;

    budget_interpret(L, true);
    lua_sethook(L, stop_rule, LUA_MASKCOUNT, RULE_INSTRUCTIONS);
    status = lua_pcall(L, RULE_ARGUMENTS, 2, trace);
    lua_sethook(L, NULL, 0, 0);
    budget_interpret(L, false);
    return status;
}

static bool read_answer(lua_State *L, struct decision *out)
{
    const char *action = lua_tostring(L, -2);

    out->delay_ms = lua_isnil(L, -1) ? -1 : (int64_t)lua_tonumber(L, -1);
    for (int i = 0; action && i < FAILURE_ACTIONS; i++) {
        if (strcmp(action, ACTIONS[i]) == 0) {
            out->action = (enum failure_action)i;
            return true;
        }
    }
    return false;
}

struct call {
    struct question *q;
    int status;
};

/* Runs under lua_cpcall: pushing the arguments may want memory. */
static int ask(lua_State *L)
{
    struct call *c = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, c->q->trace);  /* call, trace */
    lua_rawgeti(L, LUA_REGISTRYINDEX, c->q->decide); /* .., decide */
    push_arguments(L, c->q);
    c->status = call_bounded(L, 2); /* .., action, delay or message */
    if (c->status != 0) {
        return lua_error(L);
    }
    if (!read_answer(L, c->q->out)) {
        return luaL_error(L, "the failure rule gave no answer");
    }
    return 0;
}

int decide_ask(lua_State *L, struct question *q)
{
    struct call c = {.q = q};
    int status = lua_cpcall(L, ask, &c);

    if (status == 0) {
        return 0;
    }
    /* lua_error in ask() makes LUA_ERRRUN of all that the rule met. */
    status = c.status != 0 ? c.status : status;
    err_set(q->e, ERR_SCRIPT, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return status;
}

/* See budget.h. */
#include "lua/budget.h"

#include <lauxlib.h>
#include <luajit.h>
#include <stdlib.h>

#include "base/arena.h"

/* Instructions between two looks at the clock: about 20 us. */
enum { WATCH_STEP = 2000 };

void *budget_alloc(void *budget, void *p, size_t old_size, size_t size)
{
    struct budget *b = budget;
    void *out;

    if (size == 0) {
        b->used_bytes -= old_size;
        free(p);
        return NULL;
    }
    if (size > old_size && b->used_bytes - old_size + size > b->max_bytes) {
        b->is_exceeded = true;
        b->exceeded_by = b->event ? *b->event : -1;
        return NULL;
    }
    /* Beyond the budget the script is to blame; no memory from the machine is
     * the end of the process, as everywhere. */
    out = mem_grow(p, size);
    b->used_bytes += size - old_size;
    return out;
}

static struct budget *budget_of(lua_State *L)
{
    void *b;

    lua_getallocf(L, &b);
    return b;
}

static void look_at_clock(lua_State *L, lua_Debug *at)
{
    (void)at;
    if (clock_usec() < budget_of(L)->until) {
        return;
    }
    lua_sethook(L, look_at_clock, LUA_MASKCOUNT, 1);
    luaL_error(L, "this took too long: what stands in the file itself runs "
                  "while the pipeline is loaded and must come to an end; is "
                  "there a loop that does not?");
}

void budget_watch(lua_State *L, usec limit)
{
    budget_of(L)->until = clock_usec() + limit;
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    lua_sethook(L, look_at_clock, LUA_MASKCOUNT, WATCH_STEP);
}

void budget_unwatch(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
}

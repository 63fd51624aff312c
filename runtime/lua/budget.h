#pragma once
/* How much memory one VM may take, and how long loading a bundle. Scripts are
 * trusted but fallible: one that grows without end gets "not enough memory",
 * one that does not come to an end is stopped, and both are named, instead of
 * the machine running out or a command hanging. */
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct budget {
    uint64_t used_bytes;
    uint64_t max_bytes;
    usec until; /* of budget_watch(), by clock_usec() */
    /* An allocation was refused: LuaJIT is not safe to use from then on, whoever
     * caught the error, or none was raised since it was the compiler's. */
    bool is_exceeded;
    const int32_t *event; /* borrowed: whose handler runs; NULL: none */
    int32_t exceeded_by;  /* *event when it was refused last, or -1 */
};

/* A lua_Alloc; [budget] is the struct budget. */
void *budget_alloc(void *budget, void *p, size_t old_size, size_t size);
/*
 * From here on Lua code raises once [limit] has passed, again and again, so
 * that no pcall of a script swallows it. Compiled code does not look at the
 * clock: until budget_unwatch() everything is interpreted. A C function, such
 * as string.find with a pattern that backtracks, is not interrupted. The
 * state's allocator must be budget_alloc.
 */
void budget_watch(lua_State *L, usec limit);
void budget_unwatch(lua_State *L);

#pragma once
/* Limits of one VM: how much memory it may take; and how long code may run that
 * the heartbeat of a worker does not watch, which is what loads a bundle, and
 * specs. Scripts are trusted but fallible. One that grows without end gets "not
 * enough memory", one that does not end is stopped, and a message names each:
 * the machine does not run out of memory, and no command hangs. */
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

enum { BUDGET_PLACE = 400 };

/* What holds for code that is watched. */
struct budget_rule {
    usec limit; /* CPU time of this thread: neither a busy machine nor a stopped
                   process is the script's fault */
    const char *folder; /* borrowed: places below it are the user's; NULL: all
                           but those of Tidemill's scripts */
    const char *slow;   /* message about code that took too long */
    const char *hungry; /* message about code that took all memory, when the
                           process ends there; NULL: Lua raises */
    bool goes_on;       /* other code runs once it was stopped: the error is
                           raised once, and if that does not stop it the
                           process ends */
    int status;         /* of a process that has to end */
    const char *place;  /* of a function that is called again and again and
                           stays compiled: "file:line: ". Nothing stops it, and
                           the process ends where budget_rewind() did not come
                           for as long as [limit]; NULL: it is interpreted */
    uint64_t *life;     /* borrowed: what says by clock_usec() that it is not
                           stuck; NULL: nobody asks */
};

/* Where the memory of a state comes from. */
enum budget_source { BUDGET_MALLOC, BUDGET_LUAJIT };

struct budget {
    uint64_t used_bytes;
    uint64_t max_bytes;
    lua_Alloc own; /* LuaJIT's own allocator; NULL: the memory is malloc's */
    void *own_data;
    /* An allocation was refused: LuaJIT is not safe to use from then on, whoever
     * caught the error, or none was raised since it was the compiler's. */
    bool is_exceeded;
    const int32_t *event; /* borrowed: whose handler runs; NULL: none */
    int32_t exceeded_by;  /* *event when it was refused last, or -1 */
    /* "file:line: " of the script to which it was refused; "" when that is not
     * known: only code that is interpreted can be asked. */
    char exceeded_at[BUDGET_PLACE];
    lua_State *interpreted;         /* while nothing is compiled */
    const struct budget_rule *rule; /* borrowed; while it is watched */
    usec until;                     /* CPU time */
    bool was_stopped;
};

/* A new state whose memory [b] counts and limits, from where this platform has
 * it; [b] outlives it. Aborts without memory. */
lua_State *budget_open(struct budget *b);
/* The same, from there. */
lua_State *budget_open_from(struct budget *b, enum budget_source from);
/* In place of lua_close. */
void budget_close(lua_State *L);
/*
 * From here on Lua code raises once rule->limit has passed. Without
 * rule->goes_on it raises again and again, so that no pcall of a script hides
 * it. Compiled code does not look at the clock: until budget_unwatch()
 * everything is interpreted. A call of C, such as string.find with a pattern
 * that backtracks, cannot be interrupted: a little later the process ends, and
 * says on standard error where and what to do. The state must be budget_open's;
 * one state of a process is watched at a time.
 */
void budget_watch(lua_State *L, const struct budget_rule *rule);
/* The time begins anew; costs nothing where the rule has a place. */
void budget_rewind(lua_State *L);
void budget_unwatch(lua_State *L);
/* Nothing is compiled while this is on: hooks are called, and the line that takes
 * too much memory is known. */
void budget_interpret(lua_State *L, bool is_on);

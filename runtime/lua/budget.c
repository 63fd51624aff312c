/* See budget.h. */
#include "lua/budget.h"

#include <lauxlib.h>
#include <luajit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/stderr.h"
#include "lua/scripts.h"

enum {
    WATCH_STEP = 2000,   /* instructions between two looks: about 20 us */
    GRACE_USEC = 500000, /* for what was stopped to end */
    MOST_FRAMES = 200
};

/* Signal handlers take no argument of ours. */
static struct {
    lua_State *L;
    const struct budget_rule *rule;
    const char *scripts; /* where ours are */
    volatile uint64_t
        turns;     /* of budget_rewind(), where the rule has a place */
    uint64_t seen; /* at the last alarm */
    timer_t timer;
    bool has_timer; /* there may be none left (RLIMIT_SIGPENDING) */
    struct sigaction before;
} watched;

static const char TOO_LONG[] = "this took too long: ";

static struct budget *budget_of(lua_State *L)
{
    void *b;

    lua_getallocf(L, &b);
    return b;
}

/* ---- where ---- */

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    while (strncmp(folder, "./", 2) == 0) {
        folder += 2;
        len -= 2;
    }
    while (strncmp(path, "./", 2) == 0) {
        path += 2;
    }
    return strcmp(folder, ".") == 0 || len == 0
               ? path[0] != '/'
               : strncmp(path, folder, len) == 0;
}

static bool is_users(const lua_Debug *at, const struct budget_rule *rule)
{
    const char *path = at->source + 1;

    return at->source[0] == '@' && at->currentline > 0 &&
           !is_below(path, watched.scripts) &&
           (!rule || !rule->folder || is_below(path, rule->folder));
}

/* "file:line: " of the innermost frame that is the user's, or "". Reads the
 * frames and allocates nothing, so that it works where no memory is left, and
 * in a signal handler while a C function of Lua runs. */
static void find_place(lua_State *L, const struct budget_rule *rule,
                       char out[BUDGET_PLACE])
{
    lua_Debug at;

    out[0] = '\0';
    for (int level = 0; level < MOST_FRAMES && lua_getstack(L, level, &at);
         level++) {
        if (lua_getinfo(L, "Sl", &at) && is_users(&at, rule)) {
            snprintf(out, BUDGET_PLACE, "%.380s:%d: ", at.source + 1,
                     at.currentline);
            return;
        }
    }
}

/* ---- memory ---- */

static void end_process(const struct budget_rule *rule, const char *place,
                        const char *what, const char *how)
{
    char text[3 * BUDGET_PLACE];
    int n =
        snprintf(text, sizeof(text), "tidemill: %s%s%s\n", place, what, how);

    stderr_write(text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
    _exit(rule->status);
}

static void refuse(struct budget *b)
{
    b->is_exceeded = true;
    b->exceeded_by = b->event ? *b->event : -1;
    if (b->interpreted && !b->exceeded_at[0]) {
        find_place(b->interpreted, b->rule, b->exceeded_at);
    }
    if (b->rule && b->rule->place) {
        snprintf(b->exceeded_at, BUDGET_PLACE, "%s", b->rule->place);
    }
    if (b->rule && b->rule->hungry) {
        fflush(NULL);
        end_process(b->rule, b->exceeded_at, "", b->rule->hungry);
    }
}

/* False: refused. */
static bool count(struct budget *b, size_t old_size, size_t size)
{
    if (size > old_size && b->used_bytes - old_size + size > b->max_bytes) {
        refuse(b);
        return false;
    }
    b->used_bytes += size - old_size;
    return true;
}

/* Beyond the budget the script is to blame; no memory from the machine is the
 * end of the process, as everywhere. */
static void *take_from_malloc(void *budget, void *p, size_t old_size,
                              size_t size)
{
    if (!count(budget, old_size, size)) {
        return NULL;
    }
    if (size == 0) {
        free(p);
        return NULL;
    }
    return mem_grow(p, size);
}

static void *take_from_luajit(void *budget, void *p, size_t old_size,
                              size_t size)
{
    struct budget *b = budget;
    void *out;

    if (!count(b, old_size, size)) {
        return NULL;
    }
    out = b->own(b->own_data, p, old_size, size);
    if (!out && size > 0) {
        mem_exhausted(size);
    }
    return out;
}

/* LuaJIT counts each byte itself: what it took before this was asked. */
static void count_state(struct budget *b, lua_State *L)
{
    b->own = lua_getallocf(L, &b->own_data);
    b->used_bytes = (uint64_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 +
                    (uint64_t)lua_gc(L, LUA_GCCOUNTB, 0);
    lua_setallocf(L, take_from_luajit, b);
}

lua_State *budget_open_from(struct budget *b, enum budget_source from)
{
    lua_State *L = from == BUDGET_MALLOC ? lua_newstate(take_from_malloc, b)
                                         : luaL_newstate();

    must(L); /* only without memory */
    if (from == BUDGET_LUAJIT) {
        count_state(b, L);
    }
    return L;
}

/*
 * LuaJIT keeps 47 bits of an address. A process on x86-64 has no others, so
 * malloc serves, and takes 7 % less time than LuaJIT's own allocator. On arm64 a
 * process has 48 bits, malloc begins at the top, and lua_newstate refuses what
 * it gets there. LuaJIT's own allocator looks for places below, and keeps those
 * of each state apart: lua_close unmaps them as a whole. So an arena that ends
 * with its VM is there already where that one serves. One of our own must do
 * what it does: tell mmap an address below 2^47, look at what comes back, and
 * try another one when that is above. What scripts only point to may lie anywhere:
 * cdata hold 64 bits, and lightuserdata too, since LuaJIT keeps a list of their
 * upper halves.
 */
lua_State *budget_open(struct budget *b)
{
#ifdef __x86_64__
    return budget_open_from(b, BUDGET_MALLOC);
#else
    return budget_open_from(b, BUDGET_LUAJIT);
#endif
}

/* LuaJIT unmaps what it took only when its allocator is in place. What a
 * finalizer allocates there is not counted any more. */
void budget_close(lua_State *L)
{
    const struct budget *b = budget_of(L);

    if (b->own) {
        lua_setallocf(L, b->own, b->own_data);
    }
    lua_close(L);
}

/* ---- time ---- */

static usec cpu_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (usec)t.tv_sec * 1000000 + (usec)t.tv_nsec / 1000;
}

static void set_alarm(usec after, bool is_repeated)
{
    const struct timespec time = {.tv_sec = (time_t)(after / 1000000),
                                  .tv_nsec = (long)(after % 1000000) * 1000};
    struct itimerspec in = {.it_value = time};

    if (is_repeated) {
        in.it_interval = time;
    }

    if (watched.has_timer) {
        timer_settime(watched.timer, 0, &in, NULL);
    }
}

static void look_at_clock(lua_State *L, lua_Debug *at)
{
    struct budget *b = budget_of(L);
    const struct budget_rule *rule = b->rule;
    char place[BUDGET_PLACE];

    (void)at;
    if (rule->life) {
        *rule->life = clock_usec();
    }
    if (cpu_usec() < b->until) {
        return;
    }
    find_place(L, rule, place);
    if (rule->goes_on && b->was_stopped) {
        fflush(NULL);
        end_process(rule, place, TOO_LONG, rule->slow);
    }
    b->was_stopped = true;
    if (rule->goes_on) {
        b->until = cpu_usec() + GRACE_USEC;
    } else {
        lua_sethook(L, look_at_clock, LUA_MASKCOUNT, 1);
    }
    lua_pushfstring(L, "%s%s%s", place, TOO_LONG, rule->slow);
    lua_error(L);
}

static void look_at_turns(void)
{
    if (watched.turns == watched.seen) {
        end_process(watched.rule, watched.rule->place, TOO_LONG,
                    watched.rule->slow);
    }
    watched.seen = watched.turns;
}

/* The hook was not called for so long: Lua code does not run, but one call. */
static void on_alarm(int signum)
{
    char place[BUDGET_PLACE];

    (void)signum;
    if (watched.rule->place) {
        look_at_turns();
        return;
    }
    find_place(watched.L, watched.rule, place);
    end_process(watched.rule, place, TOO_LONG,
                "one call does not come to an end, such as string.find with a "
                "pattern that tries too many ways ('.*.*.*x'): write a simpler "
                "pattern");
}

/* In this thread, whose frames are looked at. */
static void open_alarm(void)
{
    struct sigevent how = {.sigev_notify = SIGEV_THREAD_ID,
                           .sigev_signo = SIGALRM};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};

    how._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    sigaction(SIGALRM, &action, &watched.before);
    watched.has_timer =
        timer_create(CLOCK_THREAD_CPUTIME_ID, &how, &watched.timer) == 0;
}

void budget_interpret(lua_State *L, bool is_on)
{
    budget_of(L)->interpreted = is_on ? L : NULL;
    watched.scripts = scripts_dir();
    luaJIT_setmode(
        L, 0, LUAJIT_MODE_ENGINE | (is_on ? LUAJIT_MODE_OFF : LUAJIT_MODE_ON));
}

void budget_watch(lua_State *L, const struct budget_rule *rule)
{
    struct budget *b = budget_of(L);

    must(!watched.L);
    watched.L = L;
    watched.rule = b->rule = rule;
    open_alarm();
    if (rule->place) {
        set_alarm(rule->limit, true);
        return;
    }
    budget_interpret(L, true);
    budget_rewind(L);
    lua_sethook(L, look_at_clock, LUA_MASKCOUNT, WATCH_STEP);
}

void budget_rewind(lua_State *L)
{
    struct budget *b = budget_of(L);

    watched.turns++;
    if (b->rule->place) {
        return;
    }
    b->until = cpu_usec() + b->rule->limit;
    b->was_stopped = false;
    set_alarm(b->rule->limit + 2 * GRACE_USEC, false);
}

void budget_unwatch(lua_State *L)
{
    struct budget *b = budget_of(L);

    lua_sethook(L, NULL, 0, 0);
    budget_interpret(L, false);
    if (watched.has_timer) {
        timer_delete(watched.timer);
    }
    sigaction(SIGALRM, &watched.before, NULL);
    watched.L = NULL;
    watched.rule = b->rule = NULL;
}

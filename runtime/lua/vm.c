/*
 * See vm.h. The Lua half is scripts/tidemill/boot.lua: a table of functions. It,
 * and load, keys, fold, decide and trace, are kept in the registry; the others are
 * called by name (vm_call.h). Every call leaves the stack as found.
 */
#include "lua/vm.h"

#include <lauxlib.h>
#include <lua.h>
#include <luajit.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "lua/budget.h"
#include "lua/bundle.h"
#include "lua/decide.h"
#include "lua/host.h"
#include "lua/load.h"
#include "lua/vm_call.h"

/* A pipeline's own state is small; what grows is garbage of one batch. */
static const uint64_t VM_MAX_BYTES = 512ULL << 20;
/* A bundle loads in milliseconds; examples with many rows take longer. */
enum { VM_LOAD_MS = 10000 };
static const char TOO_SLOW[] =
    "what stands in the file itself runs while the "
    "pipeline is loaded and must come to an end; is there a loop that does "
    "not?";
/* What one phase may allocate before the collector joins in, and the least
 * that it frees after a batch: about a millisecond of work. */
enum { VM_PHASE_KB = 64 << 10, VM_STEP_KB = 1024 };
/* The collector's speed in a phase, in percent of what is allocated. An allocation
 * pays for one kilobyte, however large it is: at LuaJIT's own speed, which holds
 * between phases, texts of megabytes outrun the collector. */
enum { VM_PHASE_MUL = 100000, VM_STEP_MUL = 200 };
/* A collection begins when so many percent of what the last one left are in use. */
enum { VM_PAUSE = 200 };

struct vm {
    lua_State *L;
    struct budget budget;
    int keys; /* registry references to functions of boot.lua */
    int fold;
    int decide;
    int load;
    int boot; /* the table itself */
    int trace;
    const struct bundle *bundle; /* borrowed */
    char *said;                  /* owned: all that the last failed load said */
    struct budget_rule loading;
    int collected_kb;      /* in use after the last vm_collect */
    bool is_out_of_memory; /* LuaJIT is not safe to use afterwards */
};

/* What scripts/tidemill needs; the sandbox hands pipelines far less. */
static void open_libraries(lua_State *L)
{
    static const luaL_Reg libraries[] = {{"", luaopen_base},
                                         {LUA_LOADLIBNAME, luaopen_package},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_DBLIBNAME, luaopen_debug},
                                         {LUA_BITLIBNAME, luaopen_bit},
                                         {LUA_JITLIBNAME, luaopen_jit},
                                         {LUA_FFILIBNAME, luaopen_ffi},
                                         {NULL, NULL}};

    for (const luaL_Reg *l = libraries; l->func; l++) {
        lua_pushcfunction(L, l->func);
        lua_pushstring(L, l->name);
        lua_call(L, 1, 0);
    }
}

static void preload_host(lua_State *L)
{
    lua_getglobal(L, "package");    /* package */
    lua_getfield(L, -1, "preload"); /* package, preload */
    lua_pushcfunction(L, host_open_binary);
    lua_setfield(L, -2, "tidemill.host");
    lua_pop(L, 2);
}

/* Of package.loaders: compiles the script of that name anew at each call. */
static int load_script(lua_State *L)
{
    const struct bundle *b = lua_touserdata(L, lua_upvalueindex(1));
    const char *name = luaL_checkstring(L, 1);

    luaL_gsub(L, name, ".", "/");                      /* name, file */
    lua_pushfstring(L, "%s.lua", lua_tostring(L, -1)); /* …, file.lua */
    const struct bundle_file *f = bundle_find(&b->scripts, lua_tostring(L, -1));
    if (!f) {
        lua_pushfstring(L, "\n\tno script '%s'", lua_tostring(L, -1));
        return 1;
    }
    lua_pushfstring(L, "@%s/%s", b->scripts.path, f->name); /* …, chunk */
    if (luaL_loadbuffer(L, f->text, f->len, lua_tostring(L, -1)) != 0) {
        return lua_error(L);
    }
    return 1;
}

/* The second one, behind package.preload, is the last. */
static void set_loader(lua_State *L, const struct bundle *b)
{
    lua_getglobal(L, "package");    /* package */
    lua_getfield(L, -1, "loaders"); /* package, loaders */
    lua_pushlightuserdata(L, (void *)b);
    lua_pushcclosure(L, load_script, 1);
    lua_rawseti(L, -2, 2);
    lua_pushnil(L);
    lua_rawseti(L, -2, 3);
    lua_pop(L, 2);
}

/* The defaults of Debian's LuaJIT (1000 traces, 512 KB of code) are too small
 * for a pipeline with many handlers: it would flush and begin again. Snapshots
 * and constants grow with the fields that one handler reads and assigns. */
static const char OPEN[] =
    "jit.opt.start('maxtrace=8000', 'maxrecord=16000', 'maxmcode=40960',\n"
    "  'maxsnap=2000', 'maxirconst=4000', 'loopunroll=40')\n"
    "return require 'tidemill.boot'\n";

static int reference(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

/* Runs under lua_cpcall: all that allocates before a pcall could be. */
static int open_vm(lua_State *L)
{
    struct vm *v = lua_touserdata(L, 1);

    open_libraries(L);
    preload_host(L);
    set_loader(L, v->bundle);
    if (luaL_loadbuffer(L, OPEN, sizeof(OPEN) - 1, "=open") != 0) {
        return lua_error(L);
    }
    lua_call(L, 0, 1); /* boot */
    v->load = reference(L, "load");
    v->keys = reference(L, "keys");
    v->fold = reference(L, "fold");
    v->decide = reference(L, "decide");
    v->trace = reference(L, "trace");
    v->boot = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

static bool open_state(struct vm *v, struct err *e)
{
    v->budget = (struct budget){.max_bytes = UINT64_MAX};
    v->L = budget_open(&v->budget);
    return lua_cpcall(v->L, open_vm, v) == 0 ||
           err_set(e, ERR_CONFIG,
                   "the scripts of Tidemill in %s cannot be used: %s: set "
                   "TIDEMILL_SCRIPTS to the folder that came with this binary",
                   v->bundle->scripts.path, lua_tostring(v->L, -1));
}

struct vm *vm_new(const struct bundle *b, struct err *e)
{
    struct vm *v = mem_zero(1, sizeof(*v));

    v->bundle = b;
    v->loading = (struct budget_rule){.slow = TOO_SLOW, .status = EX_CONFIG};
    vm_limit_load(v, VM_LOAD_MS);
    if (!open_state(v, e)) {
        vm_free(v);
        return NULL;
    }
    return v;
}

void vm_free(struct vm *v)
{
    if (v) {
        budget_close(v->L);
        free(v->said);
        free(v);
    }
}

/* The mistakes of a pipeline may be more than an error holds. */
static void keep_said(struct vm *v, const char *text)
{
    free(v->said);
    v->said = strdup(text);
    must(v->said);
}

static void say_out_of_memory(const struct vm *v, enum err_class class,
                              struct err *e)
{
    err_set(e, class,
            "%sthe scripts took more than %llu MiB of memory: keep less in "
            "tables and texts, or make batches smaller",
            v->budget.exceeded_at, (unsigned long long)(VM_MAX_BYTES >> 20));
}

/* A script may have caught the error. */
static bool ran_out_of_memory(const struct vm *v, int status)
{
    return v->budget.is_exceeded || status == LUA_ERRMEM ||
           (status != 0 &&
            strcmp(lua_tostring(v->L, -1), "not enough memory") == 0);
}

/* Scripts have the budget; outside of a protected call LuaJIT ends the process,
 * without a word, where it gets no memory. */
static void limit(struct vm *v, bool is_limited)
{
    v->budget.max_bytes = is_limited ? VM_MAX_BYTES : UINT64_MAX;
}

/* Calls the function below its [n_args] arguments, which is above the trace
 * function; one result stays on the stack. On failure nothing does. */
static bool call(struct vm *v, int n_args, enum err_class class, struct err *e)
{
    lua_State *L = v->L;
    int handler = lua_gettop(L) - n_args - 1;
    int status;

    limit(v, true);
    status = lua_pcall(L, n_args, 1, handler); /* trace, result */
    limit(v, false);
    lua_remove(L, handler); /* result */
    v->is_out_of_memory = ran_out_of_memory(v, status);
    if (status == 0 && !v->is_out_of_memory) {
        return true;
    }
    if (v->is_out_of_memory) {
        say_out_of_memory(v, class, e);
    } else {
        err_set(e, class, "%s", lua_tostring(L, -1));
        if (class == ERR_CONFIG) {
            keep_said(v, lua_tostring(L, -1));
        }
    }
    lua_pop(L, 1);
    return false;
}

const char *vm_said(const struct vm *v, const struct err *e)
{
    return v->said ? v->said : e->text;
}

static void push_function(struct vm *v, int reference_number)
{
    lua_rawgeti(v->L, LUA_REGISTRYINDEX, v->trace);
    lua_rawgeti(v->L, LUA_REGISTRYINDEX, reference_number);
}

void vm_limit_load(struct vm *v, uint32_t limit_ms)
{
    v->loading.limit = (usec)limit_ms * 1000;
}

void vm_shows_life(struct vm *v, uint64_t *at)
{
    v->loading.life = at;
}

const struct plan *vm_load(struct vm *v, struct err *e)
{
    free(v->said);
    v->said = NULL;
    push_function(v, v->load);
    host_push_bundle(v->L, v->bundle);
    budget_watch(v->L, &v->loading);
    bool ok = call(v, 1, ERR_CONFIG, e);
    budget_unwatch(v->L);
    if (!ok) {
        return NULL;
    }
    const struct plan *p = load_plan(v->L, lua_gettop(v->L)); /* plan table */
    lua_pop(v->L, 1);
    return p;
}

/* A new state with the same bundle in place of one that ran out of memory. What
 * it says against that now is of env() and file(), and no record's doing: this
 * process ends, and the next one waits until they are mended. */
static void renew(struct vm *v)
{
    const struct plan *p = NULL;
    struct err e;

    budget_close(v->L);
    if (open_state(v, &e)) {
        p = vm_load(v, &e);
    }
    if (!p) {
        log_line(LOG_ERROR, "the pipeline cannot be loaded", "error=%s",
                 log_quote(e.text));
        _exit(EX_SOFTWARE);
    }
    plan_free(p);
    v->is_out_of_memory = false;
}

/* From here on the collector joins in after [kb] more. */
static void collect_after(lua_State *L, int kb)
{
    int used = lua_gc(L, LUA_GCCOUNT, 0) + 1;

    lua_gc(L, LUA_GCSETSTEPMUL, VM_PHASE_MUL);
    lua_gc(L, LUA_GCSETPAUSE, 100 + (int)(100LL * kb / used));
    lua_gc(L, LUA_GCRESTART, -1);
    lua_gc(L, LUA_GCSETPAUSE, VM_PAUSE); /* of the next ones */
}

/* One phase of a batch. The collector waits, unless the phase leaves a lot
 * behind: its work belongs to the time in which the database is busy
 * (vm_collect). */
static bool run(struct vm *v, const int *function, struct tm_batch *b,
                struct tm_rows *rows, struct err *e)
{
    if (v->is_out_of_memory) {
        renew(v);
    }
    if (lua_gc(v->L, LUA_GCCOUNT, 0) > v->collected_kb + VM_PHASE_KB) {
        vm_collect(v); /* what came before was not written */
    }
    collect_after(v->L, VM_PHASE_KB);
    push_function(v, *function);
    lua_pushlightuserdata(v->L, b);
    lua_pushlightuserdata(v->L, rows);
    v->budget.event = &b->current;
    bool ok = call(v, 2, ERR_SCRIPT, e);
    v->budget.event = NULL;
    if (ok) {
        lua_pop(v->L, 1);
    } else if (v->budget.is_exceeded) {
        b->current = v->budget.exceeded_by;
    }
    return ok;
}

bool vm_keys(struct vm *v, struct tm_batch *b, struct tm_rows *rows,
             struct err *e)
{
    return run(v, &v->keys, b, rows, e);
}

bool vm_fold(struct vm *v, struct tm_batch *b, struct tm_rows *rows,
             struct err *e)
{
    return run(v, &v->fold, b, rows, e);
}

/* One rule's answer. */
static bool ask(struct vm *v, bool by_stock, const struct failure *f,
                struct decision *out, struct err *e)
{
    struct question q = {
        .failure = f, .by_stock = by_stock, .out = out, .e = e};
    int status;

    if (v->is_out_of_memory) {
        renew(v);
    }
    q.trace = v->trace;
    q.decide = v->decide;
    limit(v, true);
    status = decide_ask(v->L, &q);
    limit(v, false);
    v->is_out_of_memory = status == LUA_ERRMEM || v->budget.is_exceeded;
    if (v->is_out_of_memory) {
        return err_set(
            e, ERR_SCRIPT,
            "%sthe failure rule took more memory than the scripts may have",
            v->budget.exceeded_at);
    }
    return status == 0;
}

bool vm_decide(struct vm *v, const struct failure *f, bool is_trusted,
               struct decision *out, struct err *e)
{
    struct decision answer;
    struct err unused;

    *out = (struct decision){.action = ACTION_RETRY, .delay_ms = -1};
    if (!is_trusted) {
        err_set(e, ERR_SCRIPT,
                "two workers died in it: mend it, then start the run again");
    } else if (ask(v, false, f, &answer, e)) {
        *out = answer;
        return true;
    }
    if (ask(v, true, f, &answer, &unused)) {
        *out = answer;
    }
    return false;
}

lua_State *vm_begin(struct vm *v, const char *name)
{
    push_function(v, v->boot);    /* trace, boot */
    lua_getfield(v->L, -1, name); /* trace, boot, function */
    lua_remove(v->L, -2);
    return v->L;
}

bool vm_end(struct vm *v, int n_args, struct err *e)
{
    return call(v, n_args, ERR_CONFIG, e);
}

bool vm_ran_out(const struct vm *v)
{
    return v->is_out_of_memory;
}

uint64_t vm_bytes(const struct vm *v)
{
    return v->budget.used_bytes;
}

uint64_t vm_most_bytes(void)
{
    return VM_MAX_BYTES;
}

void vm_collect(struct vm *v)
{
    int used, step;

    if (v->is_out_of_memory) {
        return;
    }
    /* Twice what came since the last time, or garbage would outrun it. */
    lua_gc(v->L, LUA_GCSETSTEPMUL, VM_STEP_MUL);
    used = lua_gc(v->L, LUA_GCCOUNT, 0);
    step = 2 * (used - v->collected_kb);
    lua_gc(v->L, LUA_GCSTEP, step > VM_STEP_KB ? step : VM_STEP_KB);
    v->collected_kb = lua_gc(v->L, LUA_GCCOUNT, 0);
}

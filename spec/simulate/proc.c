/* See proc.h. */
#include "proc.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "base/arena.h"
#include "base/log.h"

enum { STACK = 4 << 20 };

/* What a process has beside what others may look at. */
struct inside {
    struct proc proc;
    struct worker_options options;
    ucontext_t context; /* of the worker, up to its loop and behind it */
    void *stack;        /* owned */
    bool must_end;
    loop_signal_fn on_term;
    void *on_term_arg;
};

static struct proc *current;
static ucontext_t outside;

struct proc *proc_now(void)
{
    return current;
}

usec proc_frozen_until(const struct proc *p)
{
    return p->frozen_until;
}

static void run(unsigned high, unsigned low)
{
    struct inside *in =
        (struct inside *)((uintptr_t)high << 32 | (uintptr_t)low);

    in->proc.status = worker_run(&in->options);
    in->proc.is_alive = false;
    in->proc.engine = NULL;
    swapcontext(&in->context, &outside);
}

static void go_on(struct inside *in)
{
    struct proc *before = current;

    current = &in->proc;
    swapcontext(&outside, &in->context);
    current = before;
}

void proc_wait(struct proc *p)
{
    struct inside *in = (struct inside *)p;

    if (!in->must_end) {
        swapcontext(&in->context, &outside);
    }
    p->engine = NULL;
}

void proc_end(struct proc *p)
{
    ((struct inside *)p)->must_end = true;
}

void proc_on_term(struct proc *p, loop_signal_fn fn, void *arg)
{
    struct inside *in = (struct inside *)p;

    in->on_term = fn;
    in->on_term_arg = arg;
}

static void end_if_due(struct inside *in)
{
    if (in->must_end && in->proc.is_alive) {
        go_on(in);
        trace("%s ends with status %d", in->proc.name, in->proc.status);
    }
}

void proc_call(struct proc *p, event_fn fn, void *arg)
{
    current = p;
    fn(arg);
    current = NULL;
    end_if_due((struct inside *)p);
}

struct proc *proc_new(const char *name, const struct worker_options *o)
{
    static uint32_t n_lives;
    struct inside *in = mem_zero(1, sizeof(*in));
    uintptr_t at = (uintptr_t)in;

    in->proc = (struct proc){.life = ++n_lives, .name = name, .is_alive = true};
    in->options = *o;
    in->stack = mem_alloc(STACK);
    getcontext(&in->context);
    in->context.uc_stack.ss_sp = in->stack;
    in->context.uc_stack.ss_size = STACK;
    makecontext(&in->context, (void (*)(void))run, 2, (unsigned)(at >> 32),
                (unsigned)at);
    trace("%s starts", name);
    go_on(in);
    return &in->proc;
}

void proc_free(struct proc *p)
{
    must(!p->is_alive);
    free(((struct inside *)p)->stack);
    free(p);
}

void proc_kill(struct proc *p)
{
    struct inside *in = (struct inside *)p;

    trace("%s is killed", p->name);
    p->is_killed = true;
    p->frozen_until = 0;
    in->must_end = true;
    go_on(in);
}

void proc_stop(struct proc *p)
{
    struct inside *in = (struct inside *)p;

    trace("%s is told to stop", p->name);
    current = p;
    in->on_term(in->on_term_arg, SIGTERM);
    current = NULL;
    end_if_due(in);
}

/* ---- what the worker is looked at by: see the link in the Makefile ---- */

void __real_engine_open(struct engine *g);
void __wrap_engine_open(struct engine *g);
void __wrap_log_line(enum log_level level, const char *msg, const char *fields,
                     ...) __attribute__((format(printf, 3, 4)));

void __wrap_engine_open(struct engine *g)
{
    current->engine = g;
    __real_engine_open(g);
}

void __wrap_log_line(enum log_level level, const char *msg, const char *fields,
                     ...)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    char more[400] = "";
    va_list ap;

    if (fields) {
        va_start(ap, fields);
        vsnprintf(more, sizeof(more), fields, ap);
        va_end(ap);
    }
    if (!current || !current->is_killed) {
        trace("%s %s: %s %s", current ? current->name : "-", words[level], msg,
              more);
    }
}

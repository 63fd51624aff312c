#pragma once
/*
 * Worker processes: each is worker_run() on a stack of its own until its loop
 * runs; from then on the world calls what the loop would have called. A process
 * that is killed loses its connections at once; what it holds is freed by its
 * own end, of which nobody outside sees anything.
 */
#include "flow/engine/engine.h"
#include "flow/engine/worker.h"
#include "world.h"

struct proc {
    uint32_t life;    /* of all that were begun: its number, from 1 */
    const char *name; /* for the trace */
    bool is_alive;    /* until it ended, or was killed */
    bool is_killed;   /* the outside knows nothing of it any more */
    usec frozen_until;
    int status;            /* of its end */
    struct engine *engine; /* borrowed; NULL: not open yet, or closed */
};

/* Begins one, which loads the bundle and opens its engine. */
struct proc *proc_new(const char *name, const struct worker_options *o);
void proc_free(struct proc *p);
/* As kill -9 does. */
void proc_kill(struct proc *p);
/* As SIGTERM does. */
void proc_stop(struct proc *p);
/* Whose callback runs; NULL: nobody's. */
struct proc *proc_now(void);
usec proc_frozen_until(const struct proc *p);
void proc_call(struct proc *p, event_fn fn, void *arg);

/* -- for loop.c -- */

/* The loop begins to run: returns once it is to end. */
void proc_wait(struct proc *p);
/* It is to end, behind the callback that says so. */
void proc_end(struct proc *p);
void proc_on_term(struct proc *p, loop_signal_fn fn, void *arg);

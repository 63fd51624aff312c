#pragma once
/*
 * What all parts of a worker share: its loop, whose clock they decide by, the
 * generations, the source, the database, its lanes, what people see, and whether
 * it is to end. Whoever opens the engine sets it; each part borrows it.
 */
#include "base/loop.h"
#include "base/random.h"
#include "flow/database/database.h"
#include "flow/generation/generation.h"
#include "flow/lane/lane.h"
#include "flow/show/show.h"
#include "kafka/source.h"

struct worker {
    struct loop *loop;      /* borrowed */
    struct loop_idle *idle; /* owned; the engine's turn */
    struct random random;
    const char *owner; /* borrowed: instance-slot; our name in tidemill.lane */
    const char *instance;   /* borrowed: group.instance.id, or NULL */
    struct generation *now; /* held; of the batches to come, and of all that is
                               the worker's */
    struct generation
        *before;           /* held; batches of it are under way; NULL: none */
    struct source *source; /* owned; NULL until the database is checked */
    struct show show;
    struct database database; /* owned */
    struct lanes lanes;       /* owned */
    bool is_stopping;         /* nothing new begins */
    int fatal;                /* enum worker_exit, when it must end */
};

/* The time of its loop, and 32 bits that nobody can foresee: every decision goes
 * by these. */
static inline usec worker_now(const struct worker *w)
{
    return loop_clock(w->loop);
}

static inline uint32_t worker_random(struct worker *w)
{
    return random_next(&w->random);
}

/* There is something to do: another turn of the engine. */
static inline void worker_wake(const struct worker *w)
{
    loop_idle_set(w->idle, true);
}

#pragma once
/*
 * What becomes of a batch behind a step of it. Steps say it, and call nobody who
 * would do it: the driver does (transact.c), so that no step runs inside another.
 */
#include "flow/batch/batch.h"
#include "postgres/wire/conn.h"

enum next_kind {
    NEXT_ON,        /* the step is done, and the one behind it follows */
    NEXT_ASK,       /* its connection is to be asked what is queued */
    NEXT_COMMITTED, /* it is in the database, or has nothing to commit */
    NEXT_AGAIN,     /* the same records once more */
    NEXT_RESOLVE,   /* what became of COMMIT is to be asked */
    NEXT_RELEASE /* it is given up: its lanes know how its records come again */
};

struct next {
    enum next_kind kind;
    enum batch_state state;      /* ASK: in which the answer is awaited */
    usec delay;                  /* AGAIN: not before */
    const struct pgreply *reply; /* COMMITTED: to COMMIT; NULL: none */
};

static inline struct next next_is(enum next_kind kind)
{
    return (struct next){.kind = kind};
}

static inline struct next next_ask(enum batch_state state)
{
    return (struct next){.kind = NEXT_ASK, .state = state};
}

static inline struct next next_again(usec delay)
{
    return (struct next){.kind = NEXT_AGAIN, .delay = delay};
}

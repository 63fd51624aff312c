#pragma once
/*
 * The circuit breaker of one database endpoint. Pure: time and randomness
 * come in, so it can be driven by specs.
 *
 * 1. Closed, everything may be tried. The last [window] outcomes are kept.
 * 2. Only failures of the infrastructure count as failures (no connection,
 *    no resources, the wrong server). Whatever else the database answers,
 *    even a refusal, proves that it is there, and counts as a success.
 * 3. It opens when at least [failures] of the window failed, and either their
 *    share is [ratio] or more, or the last [failures] outcomes all failed:
 *    nothing has worked lately, however good it was before.
 * 4. Open, nothing may be tried until the cool-down is over. The first lasts
 *    [open]; each one behind a failed probe twice as long as the one before,
 *    up to [open_max]; of each, half is certain and half is random, so that
 *    workers do not march in step and nobody hammers.
 * 5. After the cool-down it is half-open: one thing may be tried, the probe.
 *    Nothing else is let through until its outcome is told.
 * 6. A probe that succeeds closes it, with an empty window and the first
 *    cool-down again. One that fails opens it again.
 * 7. Whoever tries something holds a ticket, and tells the outcome with it. A
 *    ticket of before the last change of state tells nothing about now: its
 *    outcome is ignored. So what was in flight when it opened cannot end the
 *    probe, nor let a second one through.
 *
 * Time must not go back; a time before the last one is taken for the last.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

enum { BREAKER_WINDOW = 200 }; /* the most that may be asked for */

enum breaker_state { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };

struct breaker_limits {
    uint32_t window;   /* 1 to BREAKER_WINDOW */
    uint32_t failures; /* 1 to window */
    double ratio;      /* above 0, to 1 */
    usec open;         /* 2 or more */
    usec open_max;     /* open or more */
};

struct breaker {
    struct breaker_limits limits;
    enum breaker_state state;
    uint32_t era;                /* changes with the state; never 0 */
    bool is_probing;             /* half-open: the probe is out */
    bool failed[BREAKER_WINDOW]; /* outcomes, a ring */
    uint32_t next;               /* where the next outcome goes */
    uint32_t n;                  /* outcomes in the ring */
    uint32_t n_failed;           /* of these */
    uint32_t in_a_row;           /* failures since the last success */
    uint32_t n_opened;           /* since it was last closed */
    usec now;                    /* the latest time seen */
    usec opened_at;              /* the first opening since it was closed */
    usec until;                  /* open: end of the cool-down */
};

/* Closed, with an empty window. */
void breaker_init(struct breaker *k, const struct breaker_limits *limits);
/* May something be tried? After the cool-down this makes it half-open. */
bool breaker_allows(struct breaker *k, usec now);
/* Something is tried, which breaker_allows() must have just allowed: its
 * ticket, never 0. It must be ended by one of the three below. */
uint32_t breaker_try(struct breaker *k);
/* The database answered. True: that closed the breaker. */
bool breaker_succeeded(struct breaker *k, uint32_t ticket);
/* It failed; [random] any 32 bits. True: that opened the breaker, for the
 * first time or again. */
bool breaker_failed(struct breaker *k, uint32_t ticket, usec now,
                    uint32_t random);
/* It never came to an outcome: another probe may be let through. */
void breaker_withdrawn(struct breaker *k, uint32_t ticket);

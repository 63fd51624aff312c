#pragma once
/*
 * The database as a worker has it: may work go to it now, and if not, why.
 *
 * Every connection for work is taken here, and comes with a ticket; who took it
 * tells the outcome with the ticket, once. A failure costs a short back-off of
 * all work; when they pile up the circuit breaker opens (see breaker.h): then no
 * connection is made, those that rest are closed, and people are told when the
 * next try is. Batches that fail together are one failure: connections that were
 * open together die together.
 */
#include "base/err.h"
#include "base/random.h"
#include "flow/database/address.h"
#include "flow/database/breaker.h"
#include "flow/show/show.h"
#include "model/plan.h"

/* All borrowed. */
struct database_needs {
    struct loop *loop;
    uint32_t seed; /* of its back-offs */
    const struct plan *plan;
    const struct bundle *bundle; /* what address_renew reads */
    struct show *show;
    loop_fn wake; /* there may be a connection to take, or none was made */
    void *arg;
};

struct database {
    struct pgpool *pool;     /* owned */
    const struct loop *loop; /* borrowed */
    struct random random;
    const struct plan *plan; /* borrowed */
    struct show *show;       /* borrowed */
    struct breaker breaker;
    usec retry_at;         /* back-off: nothing is tried before */
    uint32_t failures;     /* in a row, back-offs counted */
    struct err error;      /* the last failure */
    uint32_t n_not_opened; /* failures of the pool that we know of */
    struct address address;
};

void database_open(struct database *d, const struct database_needs *n);
void database_close(struct database *d);
/* Another plan takes the place of the one that it was opened with; the pool and
 * the breaker stay as they are. */
void database_follow(struct database *d, const struct plan *p,
                     const struct bundle *bundle);
/* May new work be begun that will want a connection? */
bool database_allows(struct database *d);
/* A connection, or NULL: not now. *ticket is to be handed back. */
struct pgconn *database_take(struct database *d, uint32_t *ticket);
/* The same for a question that can wait. NULL unless the breaker is closed: what
 * is only read shows nothing of a full disk, so it is no probe. */
struct pgconn *database_take_spare(struct database *d, uint32_t *ticket);
/* It goes back to the pool (*c becomes NULL), and its ticket with the outcome:
 * [e], which is counted, or NULL when all was answered. */
void database_give(struct database *d, struct pgconn **c, uint32_t *ticket,
                   const struct err *e, const char *what);
/* The same without an outcome, where *c is not NULL. */
void database_release(struct database *d, struct pgconn **c);
/* Why the pool could not connect, counted once for each attempt; NULL: no news. */
const struct err *database_not_opened(struct database *d);
/* The outcome; each ends the ticket (sets it to 0) and does nothing about one
 * that has ended. [what] was being done, for the log. */
void database_answered(struct database *d, uint32_t *ticket);
void database_failed(struct database *d, uint32_t *ticket, const struct err *e,
                     const char *what);
void database_withdraw(struct database *d, uint32_t *ticket);
/* One of the first two, by the class of what the database said. */
void database_outcome(struct database *d, uint32_t *ticket, const struct err *e,
                      const char *what);
/* The database is in trouble, rather than what it was asked to do. */
bool database_is_away(const struct err *e);
/* Half-open and nobody has work: a connection alone is the probe. */
void database_probe(struct database *d);
/* Refreshes what people see of it. */
void database_tick(struct database *d);

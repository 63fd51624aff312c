#pragma once
/*
 * The engine's view of its database: may work go to it now, and if not, why.
 *
 * Every connection of the engine is taken here, and comes with a ticket; who
 * took it tells the outcome with the ticket, once. A failure costs a short
 * back-off of all work; when they pile up the circuit breaker opens (see
 * breaker.h): then no connection is made, those that rest are closed, and
 * people are told when the next try is. Batches that fail together are one
 * failure: connections that were open together die together.
 */
#include "base/err.h"
#include "flow/lane/breaker.h"
#include "postgres/wire/conn.h"

struct engine;

struct database {
    struct breaker breaker;
    usec retry_at;          /* back-off: nothing is tried before */
    uint32_t failures;      /* in a row, back-offs counted */
    struct err error;       /* the last failure */
    uint32_t n_not_opened;  /* failures of the pool that we know of */
    usec renewed_at;        /* address_renew: the last time */
    uint64_t renew_told[2]; /* why it could not be read */
    bool is_shown;          /* the worker would be ready, but for its trouble */
};

void database_init(struct engine *g);
/* May new work be begun that will want a connection? */
bool database_allows(struct engine *g);
/* A connection, or NULL: not now. *ticket is to be handed back. */
struct pgconn *database_take(struct engine *g, uint32_t *ticket);
/* The same for a question that can wait. NULL unless the breaker is closed: what
 * is only read shows nothing of a full disk, so it is no probe. */
struct pgconn *database_take_spare(struct engine *g, uint32_t *ticket);
/* It goes back to the pool (*c becomes NULL), and its ticket with the outcome:
 * [e], which is counted, or NULL when all was answered. */
void database_give(struct engine *g, struct pgconn **c, uint32_t *ticket,
                   const struct err *e, const char *what);
/* The outcome; each ends the ticket (sets it to 0) and does nothing about one
 * that has ended. [what] was being done, for the log. */
void database_answered(struct engine *g, uint32_t *ticket);
void database_failed(struct engine *g, uint32_t *ticket, const struct err *e,
                     const char *what);
void database_withdraw(struct engine *g, uint32_t *ticket);
/* One of the first two, by the class of what the database said. */
void database_told(struct engine *g, uint32_t *ticket, const struct err *e,
                   const char *what);
/* The database is in trouble, rather than what it was asked to do. */
bool database_is_away(const struct err *e);
/* Half-open and nobody has work: a connection alone is the probe. */
void database_probe(struct engine *g);
/* Takes readiness away for [why], until the database answers. */
void database_show(struct engine *g, const char *why);
/* Refreshes what people see of it. */
void database_tick(struct engine *g);

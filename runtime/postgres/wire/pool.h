#pragma once
/*
 * A pool of connections to the database that is written to. Connections are
 * made one at a time and on demand, up to the plan's pool_max; after a failed
 * attempt at all hosts the next waits, with equal jitter, as the plan says. A
 * connection that is given back inside a transaction is rolled back first; a
 * dead one is replaced.
 */
#include "postgres/wire/conn.h"

struct pgpool;

/* [wake] is called from the loop when a connection may be there to take, and
 * when connecting failed. */
struct pgpool *pgpool_new(struct loop *l, const struct plan_database *d,
                          const char *application_name, loop_fn wake,
                          void *arg);
void pgpool_free(struct pgpool *p);
/* An idle connection, or NULL; NULL makes the pool open one if it may. */
struct pgconn *pgpool_take(struct pgpool *p);
void pgpool_give(struct pgpool *p, struct pgconn *c);
/* The database is not to be bothered: closes what is idle or being opened, and
 * forgets who asked. The next pgpool_take() connects at once. */
void pgpool_rest(struct pgpool *p);
/* From the next attempt on, which then waits for nothing. False: it is the one
 * that we have. */
bool pgpool_set_conninfo(struct pgpool *p, const char *conninfo);
/* A user of many statements is gone for good: its connections forget, each with
 * its next statement, which ones were not used since the sweep before. */
void pgpool_sweep(struct pgpool *p);
uint32_t pgpool_size(const struct pgpool *p);
uint32_t pgpool_in_use(const struct pgpool *p);
/* Why the last attempt failed; class ERR_NONE once one has succeeded. */
const struct err *pgpool_error(const struct pgpool *p);
/* Connections that were ever opened: as long as it stays, one server run has
 * been spoken to. */
uint32_t pgpool_opened(const struct pgpool *p);
/* Attempts that have failed so far. */
uint32_t pgpool_failures(const struct pgpool *p);

#pragma once
/*
 * How a connection is opened, and how libpq's failures become struct err.
 * Conninfo may hold a password, so it is never part of a text.
 */
#include "base/err.h"
#include "base/loop.h"
#include "postgres/wire/target.h"

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* and PGresult */

extern const struct plan_timeouts DIAL_TIMEOUTS; /* the defaults */

/* Can an address be read at all? It need not exist. */
bool dial_check(const char *conninfo, struct err *e) MUSTCHECK;
/*
 * Starts a connection to the host whose turn it is, without waiting for it;
 * its name is resolved, which blocks. NULL: it cannot even start, see [e].
 */
struct pg_conn *dial_start(const struct pgtarget *t, struct pgturns *turns,
                           struct err *e) MUSTCHECK;
/* No answer in time. Always returns false. */
bool dial_late(const struct pg_conn *pg, usec waited, struct err *e);
/* A host failed, and others had [before]: [e] tells of all. */
void dial_also(struct err *e, const struct err *before);
/* Connects for people, and waits for it; nobody waits longer than [lock_ms] for a
 * lock (0: as long as it takes). [must_write]: to a server that takes writes. */
struct pg_conn *dial_wait(const char *conninfo, const char *application_name,
                          bool must_write, uint32_t lock_ms,
                          struct err *e) MUSTCHECK;
/* The attempt failed, and perhaps because of the options that it came with,
 * which not every pooler takes: the next one goes without, to the same host. */
bool dial_is_plain_next(const struct pg_conn *pg, struct pgtarget *t);
/* Why a connection attempt failed. Always returns false. */
bool dial_error(const struct pg_conn *pg, struct err *e);
/* Why an open connection was lost. Always returns false. */
bool dial_lost(const struct pg_conn *pg, struct err *e);
/* What a failed statement answered. Always returns false. */
bool dial_result(const struct pg_result *r, struct err *e);
/*
 * The statement failed because what is prepared on this connection no longer
 * fits (tables were altered, a pooler switched servers): only a fresh
 * connection helps.
 */
bool dial_is_stale(const struct pg_result *r);
/* It was the server's last word on this connection (FATAL, PANIC). */
bool dial_is_fatal(const struct pg_result *r);

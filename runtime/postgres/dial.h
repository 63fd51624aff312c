#pragma once
/*
 * How a connection is opened, and how libpq's failures become struct err.
 * Conninfo may hold a password, so it is never part of a text.
 */
#include "base/err.h"
#include "postgres/conn.h"

struct pg_conn; /* libpq's PGconn */

/*
 * Starts a connection without waiting for it (names may be resolved, which
 * blocks). NULL: it cannot even start, see [e].
 */
struct pg_conn *dial_start(const char *conninfo, const char *application_name,
                           struct err *e);
/* The same, and waits for it, 10 s at most. */
struct pg_conn *dial_wait(const char *conninfo, const char *application_name,
                          struct err *e);
/* SQL that makes a new session ours; the optional part may fail: not every
 * server and platform has it, and it only frees locks sooner. */
const char *dial_settings(void);
const char *dial_optional_settings(void);
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

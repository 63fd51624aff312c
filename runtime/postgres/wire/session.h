#pragma once
/*
 * What PostgreSQL's settings are in our sessions. A role or a database may set
 * any of them (ALTER ROLE ... SET), and some change what our values mean or end
 * our waits. Each that matters is decided in one table, in session.c.
 *
 * They travel in the start-up packet, which is stronger than what a role or a
 * database says and is there before our first statement; then they are set once
 * more, for poolers that take no options, and read back.
 */
#include "base/err.h"
#include "model/plan.h"

struct pg_result;

/* A worker's planner is cut down to what its statements want; people's
 * questions (`lane`, `dlq`, `schema`) join and sort. */
enum session_kind { SESSION_WORKER = 1, SESSION_PEOPLE = 2 };

/* The start-up packet's "options", owned by the caller. [said]: those of the
 * conninfo, or NULL; ours come behind and so win. */
char *session_options(enum session_kind kind, const struct plan_timeouts *t,
                      const char *said);
/* SQL that sets them. Owned by the caller. */
char *session_set(enum session_kind kind, const struct plan_timeouts *t);
/* SQL that tells what is not so afterwards. Owned by the caller. */
char *session_look(enum session_kind kind);
/* What that answered. False: ERR_CONFIG, in words. */
bool session_is_ours(const struct pg_result *looked, struct err *e) MUSTCHECK;
/* May fail: not every server and platform has it, and it only frees locks
 * sooner. */
extern const char session_optional[];

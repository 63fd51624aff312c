#pragma once
/*
 * Whether the statements of a transaction have no side effects: no table that
 * the pipeline writes (tidemill.lane and tidemill.dead_letter among them, and
 * partitions) has a trigger, a rule or a foreign key with an action pointing at
 * it, none is a part of another, and no two projections write the same. Then
 * our statements wrote all there is of its xid, each row once at most behind
 * its DELETE, and what they sent is what the table holds: its rows may be kept
 * in the row cache.
 *
 * Flags of pg_class say "perhaps" too often. Where they say nothing the
 * transaction has none as long as the tables have their shape (shape.h); where
 * they do, it must end with the statement that finds out, behind all writes,
 * whose locks keep the answer true until COMMIT.
 */
#include "base/arena.h"
#include "model/plan.h"

/* One row with one boolean. [all], [own]: arrays of oids, with parts and
 * without. Owned by the caller. */
char *write_check_sql(const char *all, const char *own, bool is_distinct);
/* What has side effects in transactions of the plan, for people: one row with
 * one text, or NULL. */
const char *write_check_causes_sql(const struct plan *p, struct arena *a);

#pragma once
/*
 * What ties a committed batch to the comparison of its tables with the plan
 * (catalog.h).
 *
 * A shape is the row versions (xmin) in pg_catalog of all that the comparison
 * looked at: of the tables that the pipeline writes, their columns, indexes,
 * foreign keys, parts and schemas, of tidemill.lane and tidemill.dead_letter, and
 * of tidemill.version(). Whoever changes one of them makes a new version, also
 * when it is changed back later.
 *
 * Each transaction ends with shape->check. It runs behind all writes, whose
 * locks keep anyone from changing the definition of what was written until
 * COMMIT, and raises TM003 unless the versions are the same. So everything
 * since the comparison, rows that were loaded before BEGIN too, was done with
 * tables as they were compared. That holds because statements name the schema
 * that the comparison found (model/facts.h), and its version is one
 * of those that are looked at: no search path can lead them elsewhere.
 *
 * Its price is some 30 us of the server's CPU, and 1 us more for each part.
 */
#include "model/plan.h"
#include "postgres/wire/conn.h"

struct shape {
    char *check; /* owned: SQL without parameters, which tells the transaction's
                    xid; NULL: not known */
    char *write_check; /* owned: see write_check.h; NULL: there are none */
};

/* One statement. It must run before what is compared is asked for, so that a
 * change in between is seen as one. */
void shape_ask(struct pgconn *c, const struct plan *p);
/* Into a zeroed one. */
void shape_read(const struct pg_result *r, struct shape *out);
void shape_close(struct shape *s);

#pragma once
/*
 * The last statement of a transaction whose rows are kept in the row cache. It
 * runs behind all writes, whose locks keep anyone from changing the tables'
 * definitions until COMMIT, and tells
 *
 *  - the transaction's xid: the xmin of every row version that it wrote, since
 *    there are no savepoints
 *  - whether it is quiet: no table that the pipeline writes (tidemill.lane and
 *    tidemill.dead_letter among them, and partitions) has a trigger, a rule or
 *    a foreign key with an action pointing at it, and none is a part of another.
 *    Then our statements wrote all there is of this xid, each row once at most
 *    behind its DELETE, and what they sent is what the table holds
 *  - the shape of the cached tables: a hash of their oids, columns and parts.
 *    DROP COLUMN with ADD COLUMN, and RENAME, give rows other values and leave
 *    their xmin alone
 *
 * SEAL_LIGHT looks at flags of pg_class alone, which say "perhaps" too often;
 * where they do, SEAL_DEEP finds out, at three times the price (35 and 115 us
 * of the server's CPU).
 */
#include "base/arena.h"
#include "base/plan.h"
#include "postgres/conn.h"

enum seal_kind { SEAL_LIGHT, SEAL_DEEP, SEAL_KINDS };

struct seal {
    uint32_t xid;
    bool is_quiet;
    int64_t shape;
};

/* The statements for a plan; their texts are in the arena. */
void seal_prepare(const struct plan *p, struct arena *a,
                  struct pgstmt out[SEAL_KINDS]);
/* Queues it. [shape]: raises TM002 if it is another one; 0: whatever it is. */
void seal_ask(struct pgconn *c, const struct pgstmt *s, int64_t shape);
void seal_read(const struct pg_result *r, struct seal *out);
/* Why transactions of the plan are not quiet, for people: one row with one
 * text, or NULL. */
const char *seal_loud_sql(const struct plan *p, struct arena *a);

#pragma once
/*
 * A batch that changes nothing: decoded, folded and written as in a run, in a
 * transaction that is rolled back. No lane is claimed, and no position, letter or
 * halt is written. Rows that it writes are locked until the end of it.
 */
#include "flow/batch/batch.h"

struct dry {
    struct generation *generation; /* held; prepared */
    struct lane *lanes;            /* owned; one a part of the records: their
                                      guards, and the keys that letters hold */
    uint32_t n_lanes;
    struct held_pool held;
    struct batch batch;
    struct buf problems; /* how the tables do not fit; a line each */
    int n_problems;
    const struct record *refused; /* the first one that the database refuses;
                                     NULL: none is known */
};

/* [g] is taken over. */
void dry_open(struct dry *d, struct generation *g, uint32_t n_lanes);
void dry_close(struct dry *d);
/* Records that letters hold a key of: from now on they are held. */
void dry_hold(struct dry *d, uint32_t lane, const char *key, uint32_t len,
              uint32_t n, int64_t first);
/*
 * Applies [n] records, by lane and offset, and rolls back. False with e: the
 * database cannot be asked, or refuses what would be written; d->n_problems
 * without e->text: the tables do not fit. The batch shows what became of each
 * record until dry_close().
 */
bool dry_run(struct dry *d, struct record *records, uint32_t n,
             struct err *e) MUSTCHECK;

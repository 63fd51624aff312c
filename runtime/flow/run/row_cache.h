#pragma once
/*
 * Between the rows of a batch and the row cache (cache_ring.h): which rows need
 * no load, and what is kept when a COMMIT is known.
 *
 * Rules that the safety of the cache rests on:
 *  - only the first attempt of a batch takes rows from it; each later one, and
 *    every retry of dead letters, drops its rows and loads them
 *  - a row belongs to the lane that all its events in the batch came from, and
 *    is found again only under the same claim of that lane
 *  - rows are kept only behind an answered COMMIT that moved their lane, from
 *    a transaction that nothing but our own statements wrote in, and only if
 *    the tables kept their shape since the batch began
 */
#include "flow/batch/batch.h"
#include "flow/table/cache_ring.h"

/* Base cells, flags and xmins of the rows that the cache has; the others
 * are as unloaded. [claims]: of the batch's leases; 0: not from the cache. */
void row_cache_find(struct cache_ring *c, struct rows *r,
                    const uint32_t *claims, usec now);
/* Keeps what the table holds behind the transaction with this xid, and drops
 * rows that are not there or not known. [claims]: as above; 0: drop. */
void row_cache_keep(struct cache_ring *c, struct rows *r,
                    const uint32_t *claims, uint32_t xid, usec now);
void row_cache_drop(struct cache_ring *c, struct rows *r);

/* Before a batch loads; it has its connection. */
void row_cache_begin(struct batch *b);
/* Has it rows that may be kept behind its COMMIT? */
bool row_cache_may_keep(const struct batch *b);
/* Behind its COMMIT: what its two checks said. */
void row_cache_committed(struct batch *b, uint32_t xid,
                         bool has_no_side_effects);
/* Nothing may be decided on rows that no transaction has checked: the batch is
 * to be done again, from loaded rows. [e]: what it failed with; NULL: nothing,
 * but it would end without a transaction. */
bool row_cache_must_repeat(const struct batch *b, const struct err *e);

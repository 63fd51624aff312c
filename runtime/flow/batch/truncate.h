#pragma once
/*
 * A TRUNCATE of a source table (truncate = 'apply') empties the tables that
 * copy it, in order with the other records of its lane.
 *
 * Invariant: a truncate is the only record of its lane in its batch, which is
 * cut before it and behind it; what is left of the lease goes back to the
 * inbox and the lane goes on at once. So the rows of the batch and the emptying
 * need no order among each other: no row of the table is in the batch.
 *
 * Only lanes that are alone in their topic have an order to speak of, and only
 * tables that one topic feeds may be emptied for it; where that is not so, or
 * older records of the lane still wait as dead letters, the lane halts.
 */
#include "flow/batch/batch.h"

/* Sets lease->cut of each lane, and the states of what lies behind it. Part of
 * batch_keys. */
void truncate_cut(struct batch *b);
/* The lane begins with a truncate: halts it where that has no order among other
 * records; [n_partitions] of its topic. Before batch_keys. */
void truncate_check(struct batch *b, const struct lease *l,
                    uint32_t n_partitions);

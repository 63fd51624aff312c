#pragma once
/*
 * What scripts make of a batch, in this order: keys, once it is decoded; a trial,
 * once in its life; a fold, in each attempt.
 */
#include "flow/batch/batch.h"

/* Rows of all projections. Records whose key cannot be computed fail. Look at
 * batch_is_over() behind it. */
void batch_keys(struct batch *b);
/* Before anything is locked: lets batch functions say which rows they want, once
 * in the life of a batch. False: batch_is_over(), as behind a fold. */
bool batch_try(struct batch *b) MUSTCHECK;
/*
 * Runs all handlers from the loaded state. Records that fail are left out, and
 * so are those held behind them; what they had already changed is made again
 * without them. False: the rows do not come to rest, since what is wrong with
 * a row does not go away with its last records, or a batch function raised
 * outside of any event; [e] is what is wrong, unless batch_is_over(). With
 * b->scripts.is_short nothing is settled: rows must be loaded first.
 */
bool batch_fold(struct batch *b, struct err *e) MUSTCHECK;

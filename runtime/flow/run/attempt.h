#pragma once
/*
 * The steps of an attempt at a batch, on one connection. Each queues what the
 * connection is to be asked, or says what becomes of the batch:
 *
 *   attempt_begin     how it goes and waits (conflict.h), rows of the cache
 *                     (row_cache.h); asks for aligned rows, where there are some
 *   attempt_loaded    trial calls of batch functions
 *     where rows are shared, or locked:   BEGIN, positions, asks for those rows
 *     attempt_opened                      fold, writes, COMMIT
 *     else:                               fold, BEGIN, positions, writes, COMMIT
 *   attempt_written   committed; or a proof, which is rolled back
 *
 * A fold that wants rows which are not loaded begins all of it again with them.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* The tables are as compared. */
struct next attempt_begin(struct batch *b);
/* Answers in BATCH_LOADING, OPENING and WRITING. */
struct next attempt_loaded(struct batch *b, const struct pgreply *reply);
struct next attempt_opened(struct batch *b, const struct pgreply *reply);
struct next attempt_written(struct batch *b, const struct pgreply *reply);

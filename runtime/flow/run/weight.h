#pragma once
/*
 * How much a batch sends to the database at once. Rows and dead letters may be
 * far larger than the records they come from: by what a handler makes, by what
 * the rows held before, or since one record enters many rows. All of it is held
 * by the connection until the server has taken it, so it has a bound in bytes;
 * a batch beyond it is done in smaller ones. A single record has what the
 * server takes, and is set aside beyond that.
 */
#include "base/err.h"
#include "flow/batch/batch.h"

/* The loads of the batch: by how much they may make this process grow. */
uint64_t weight_of_loads(const struct batch *b);
/* Before rows are asked for: false with [e] (ERR_DATA)
 * when their keys alone are too much. */
bool weight_keys_fit(const struct batch *b, struct err *e) MUSTCHECK;
/* Behind batch_set_ends(); [letters]: bytes of its dead letters, which are made.
 * False with [e] (ERR_DATA) when it is too much. */
bool weight_fits(const struct batch *b, uint64_t letters,
                 struct err *e) MUSTCHECK;

#pragma once
/*
 * Another generation for a worker that runs: between two turns of the engine,
 * without a rebalance, a drain or a connection.
 */
#include "base/err.h"

struct engine;
struct generation;

/*
 * From here on batches begin under [n], which is prepared and whose hold is
 * taken over. Those that are under way keep theirs, worker.before, to their
 * end; with the last of them it is freed. There are never more than two: while
 * there is one before, the answer is ERR_CONFLICT, and the caller comes again.
 *
 * Name, group and topics are the worker's: where they differ it is ERR_CONFIG.
 * What was opened with the worker stays as it is: the pool, the breaker, the
 * bytes of the cache, how many batches there may be, and the guards of lanes
 * that it has seen. Rows stay in the cache when the contract is the same; lanes
 * that stand halted do so until they are claimed again. False: nothing was
 * done, and [n] is still the caller's.
 */
bool engine_swap(struct engine *g, struct generation *n,
                 struct err *e) MUSTCHECK;

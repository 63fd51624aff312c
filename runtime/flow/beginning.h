#pragma once
/*
 * Where lanes begin that have no position yet: at `start` of kafka{}. For a
 * partition that a topic got later that is its first record, whatever `start`
 * says, or the records before the first claim would be lost; so the first
 * worker that sees a topic gives all its partitions their positions at once.
 */
#include "flow/claim.h"

/* Queues the first positions of the claim's lanes that were not found. */
bool beginning_queue(struct engine *g, uint32_t *n_created, struct err *e);

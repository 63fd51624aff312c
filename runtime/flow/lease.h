#pragma once
/*
 * Which lanes feed the next batch. Pure: lanes and time come in.
 *
 * The lanes with the most waiting records are taken first, until the batch is
 * full: records of few lanes share more rows than records of many, so more of
 * them coalesce, and the other lanes stay free for the other connections. A
 * lane under suspicion (its last batch was refused) is taken alone.
 */
#include <stdbool.h>
#include <stdint.h>

#include "flow/batch.h"

enum { LEASE_MAX_LANES = 256 };

/* Fills [out] (LEASE_MAX_LANES) and returns how many lanes the batch gets; 0:
 * nothing is due. *due_at: when it will be at the latest; 0: never. */
uint32_t lease_pick(struct lane *lanes, const struct plan_limits *limits,
                    usec now, struct lease *out, usec *due_at);
/* After a batch that held only this lane was refused for its data: what to
 * try next. False: it was a single record, the bad one. */
bool lease_suspect(struct lane *lane, uint32_t n, bool was_alone);
/* [n] records of the lane were committed. */
void lease_cleared(struct lane *lane, uint32_t n);

#pragma once
/*
 * Which lanes feed the next batch. Pure: lanes, which carry counts of what waits
 * for them (lanes_count), and time come in.
 *
 * The lanes with the most waiting records are taken first, until the batch is
 * full: records of few lanes share more rows than records of many, so more of
 * them coalesce, and the other lanes stay free for the other connections. A
 * lane that is searched (its last batch was refused), or that is close behind a
 * bad record, is taken alone. So is one that waits for other transactions
 * (flow/run/conflict.h), when its pause is over.
 *
 * A lane is narrow (lane->most) when a batch with its records took too much of
 * what a batch may take, memory or time: it is taken alone, with so many
 * records at most, in turn with the others, and grows with each batch that is
 * committed.
 */
#include <stdbool.h>
#include <stdint.h>

#include "flow/batch/batch.h"

enum { LEASE_MAX_LANES = 256 };

/* Fills [out] (LEASE_MAX_LANES) and returns how many lanes the batch gets; 0:
 * nothing is due. *due_at: when it will be at the latest; 0: never.
 * [others_first]: a lane that is taken alone since it waits for other
 * transactions, or is searched for a bad record, is taken only when nothing
 * else is due. Whoever says it every other time lets the others through,
 * however many such lanes there are, and however long they take. */
uint32_t lease_pick(const struct lanes *lanes, const struct plan_limits *limits,
                    bool others_first, usec now, struct lease *out,
                    usec *due_at);
/* Is the next batch of a lane that was picked its own, since it waits for others
 * or is searched? Before it is leased. */
bool lease_is_alone(const struct lane *lane);
/* A batch with [n] records of the lane was refused: what to try next; half of
 * them, once the lane was alone. */
void lease_search(struct lane *lane, uint32_t n, bool was_alone);
/* A batch with [n] records of the lane, one or more, took too much: the next
 * ones have half of them, once the lane was alone, and one at least. */
void lease_halve(struct lane *lane, uint32_t n, bool was_alone);
/* A batch of the lane was committed, and took no more than it may: the next one
 * may be larger by a quarter, up to [size], that of any batch. */
void lease_grow(struct lane *lane, uint32_t size);
/* [n] records of the lane were committed, or set aside. */
void lease_cleared(struct lane *lane, uint32_t n);
/* The bad record is known, the first one of the lane: it goes alone, so that
 * another one close by need not be known at the same time. Where one was more
 * may be: batches begin small behind it, by how far the last one was away. */
void lease_found(struct lane *lane);

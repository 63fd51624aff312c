#pragma once
/*
 * A batch that lost against another transaction (class conflict): a row changed
 * since it was loaded (TM002), a deadlock, a lock that did not come.
 *
 *   a few times        the same batch again, at once, then after pauses
 *   then               its lanes are tried one by one, then halves of the lane,
 *                      so that all others go on, down to one record
 *   that record        waits, its lane with it: a try, a pause of up to a
 *                      second, in which the lane is in no batch
 *   for seconds        people are told: a line, /readyz, /status
 *
 * Nobody is blamed for a race, however long it lasts. But a counted statement
 * also misses when a trigger keeps a row back, or a policy hides it, and then it
 * misses for ever. So a record that has missed a few times alone is tried in a
 * transaction whose load and writes see one snapshot (REPEATABLE READ), and which
 * is rolled back: whatever another transaction did since, to a row that is there
 * or by making one, is answered there by 40001. TM002 is no race then, and a
 * failure of the record.
 */
#include "flow/engine.h"

/* The batch failed with [e], of class conflict: is it none? True: [named] is
 * what it failed with. */
bool conflict_is_none(struct batch *b, const struct err *e, struct err *named);
/* Is the next attempt to be the proof? Then it loads inside its transaction. */
bool conflict_wants_proof(const struct batch *b);
/* The proof met no failure: it was a race. */
void conflict_not_proven(struct batch *b);
/* The same once more, or a smaller batch. [delay_ms]: as the failure rule says;
 * -1: as usual. */
void conflict_retry(struct batch *b, const struct err *e, int64_t delay_ms);
/* The lane's position moved, which is behind isolate_cleared(). */
void conflict_cleared(struct lane *lane);
/* How long the batch may wait for a lock, in milliseconds; 0: as the session
 * says. */
uint32_t conflict_lock_ms(const struct batch *b);
/* Tells people of lanes that have waited for seconds. */
void conflict_tick(struct engine *g, usec now);

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
 * Lanes that have nothing to do with it stand no longer than a wait for a lock
 * lasts, so the first one is short: two seconds, or twice what a transaction
 * takes lately, since those who hold our locks are mostly workers like us. A
 * wait as long as the session allows is for a lane alone, and for one at a
 * time.
 *
 * Nobody is blamed for a race, however long it lasts. But a counted statement
 * also misses when a trigger keeps a row back, or a policy hides it, and then it
 * misses for ever. So a record that has missed a few times alone is tried in a
 * transaction whose load and writes see one snapshot (REPEATABLE READ), and which
 * is rolled back: whatever another transaction did since, to a row that is there
 * or by making one, is answered there by 40001. TM002 is no race then, and a
 * failure of the record.
 *
 * If the row changes all the time, the proof fails with 40001 and shows
 * nothing. So behind a few such proofs the rows are locked while they are
 * loaded: nobody changes them up to COMMIT, and the record is applied. TM002 is
 * no race then either, if all rows were there; else nobody knows, which is
 * told, and all begins anew.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* The batch failed with [e], of class conflict: is it none? True: [named] is
 * what it failed with. */
bool conflict_is_none(struct batch *b, const struct err *e, struct err *named);
/* The batch was cancelled (57014), which says nothing of its record: it is a
 * conflict. Counts. */
bool conflict_is_cancel(struct batch *b, const struct err *e);
/* An attempt begins: says how it goes, and how long it waits for a lock. */
void conflict_begin(struct batch *b);
/* A transaction took so long, from BEGIN to the answer to COMMIT. */
void conflict_took(struct run *run, usec took);
/* The proof met no failure: it was a race. */
struct next conflict_not_proven(struct batch *b);
/* The same once more, or a smaller batch. [delay_ms]: as the failure rule says;
 * -1: as usual. */
struct next conflict_retry(struct batch *b, const struct err *e,
                           int64_t delay_ms);
/* It lost often enough. Of batch_of_records: its lanes are tried one by one, and
 * a record alone waits. Of batch_of_letters: says when they are read anew. */
struct next conflict_part_lanes(struct batch *b, const struct err *e,
                                int64_t delay_ms);
void conflict_note_letters(struct batch *b, const struct err *e);
/* The lane's position moved, behind lease_cleared(). */
void conflict_cleared(struct lane *lane);

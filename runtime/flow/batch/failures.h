#pragma once
/*
 * Which events of a batch are applied, set aside or left for another time.
 *
 * Events fail in any order: when they are decoded, when keys are computed, in
 * the handlers of each projection, or because the database refused them when
 * they were alone. failures_set_states() then goes over each lane in the order
 * of its records and gives every event its state:
 *
 *   behind a record of its key that is held        HELD, failed or not
 *   failed, and the guard or the rule says halt    the lane ends before it
 *   failed                                         FAILED, and its key is held
 *   else                                           OK
 *
 * so the states depend on what failed, and not on when that was found.
 * A record is atomic across all projections: a failure in one of them takes
 * the event out of the others, whose rows must be made again (fold.c).
 */
#include "base/err.h"
#include "flow/batch/batch.h"

/* The event failed. [by]: see letter.h. Its later ones of the same key in the
 * lane are held from now on. */
void failures_add(struct batch *b, uint32_t event, enum err_class class,
                  const char *reason, size_t len, int32_t by);
/* The same, refused by the database: [why] has the SQLSTATE, and what to do
 * was decided. */
void failures_add_refused(struct batch *b, uint32_t event,
                          const struct err *why, enum failure_action action);
/* Events that the decoder could not read failed. */
void failures_find_unread(struct batch *b);
/* Events that enter rows which could not be loaded fail; behind
 * failures_reset. */
void failures_find_unheld(struct batch *b);
/* What failed up to here failed before any handler ran: it stays failed
 * however often the handlers run. */
void failures_keep(struct batch *b);
/* Forgets what handlers refused, and rows that could not be loaded: they run
 * again from other rows. */
void failures_reset(struct batch *b);
/* Were rows made with events that are not applied, or without some that are? */
bool failures_outdate(const struct batch *b, const struct rows *r);
/* Such an event may be why its projection refused later events of the same
 * row: forgets that it did. False: there are none. */
bool failures_reopen(struct batch *b, const struct rows *r);
/* Sets all states. True: an event is applied now and was not, or the other way
 * round. */
bool failures_set_states(struct batch *b);
/* Is every record that the position moves over applied, skipped, or set aside
 * with its reason? False with [e]: a bug, and nothing may be committed. */
bool failures_are_complete(const struct batch *b, struct err *e) MUSTCHECK;
/* Are later records of the failed event's key held? */
bool failures_hold_key(const struct batch *b, uint32_t event);
/* Is the event one that goes into the dead letters? */
bool failures_is_letter(const struct batch *b, uint32_t event);

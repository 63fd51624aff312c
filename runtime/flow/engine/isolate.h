#pragma once
/*
 * What a failure rule decides, carried out. The rule (rules/sqlstate.lua, or
 * the pipeline's own) is asked about a batch that the database refused, and
 * about each record that a handler refused.
 *
 * A batch is taken apart without reading Kafka again: lane by lane, so that
 * healthy lanes commit; then halves of the lane, in order, until one record
 * alone is refused: that one is remembered, and the next batch of the lane
 * sets it aside. Behind it batches stay small and double with each success,
 * so that many bad records do not cost as many full batches.
 */
#include "flow/engine/engine.h"

/* Asks what to do about a batch that failed with [e], and does it. */
void isolate_failed(struct batch *b, const struct err *e);
/* The scripts make too much of its records together, or take too long for so
 * many: they come in smaller batches. */
void isolate_over(struct batch *b);
/* Asks about the record of [event], whose letter it decides. */
void isolate_ask_record(struct batch *b, uint32_t event);
/* Records of the batch that the database refused when they were alone fail. */
void isolate_refused(struct batch *b);
/* The lane's position moved over [n] records. */
void isolate_cleared(struct lease *l, uint32_t n);
/*
 * The failure rule asked for the batch again after [delay], since [event] failed
 * with [e]. It may do so for ever, but then people are told, and behind some
 * retries there is a pause whatever it says.
 */
void isolate_asked(struct batch *b, const struct err *e, uint32_t event,
                   usec delay);
/* The batch took too much of what [e] says: its records go into smaller ones.
 * False: there is but one. */
bool isolate_narrow(struct batch *b, const struct err *e);
/* The same batch once more, after [delay]. */
void isolate_again(struct batch *b, usec delay);
/* The lane is tried alone; half of what was tried, if it [was_alone]. */
void isolate_suspect(struct lease *l, bool was_alone);
/* Its lanes are tried one by one, then halves of the lane. */
void isolate_parts(struct batch *b);
/* The next retry of dead letters takes half of them, down to one. */
void isolate_halve(struct batch *b);
/* Events that the database was asked to apply; *only: the last of them. */
uint32_t isolate_applied(const struct batch *b, uint32_t *only);

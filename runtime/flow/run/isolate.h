#pragma once
/*
 * A batch is taken apart, without reading Kafka again: lane by lane, so that
 * healthy lanes commit; then halves of the lane, in order, until one record alone
 * is refused: that one is remembered, and the next batch of the lane sets it
 * aside. Behind it batches stay small and double with each success, so that many
 * bad records do not cost as many full batches.
 *
 * A batch that is too much, or takes too long, has no bad record: its lanes' next
 * ones are smaller.
 *
 * Who calls whom: outcome.c and rule.c say that it comes to this; conflict.c
 * that a lane is to be tried alone. Each of these says that the batch is given up. The next
 * batch of the lane is picked by flow/batch/lease.c, and asks isolate_refused()
 * once it is decoded; when it is committed, isolate_cleared().
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* The scripts make too much of its records together, or take too long for so
 * many: they come in smaller batches. */
struct next isolate_over(struct batch *b);
/* The batch took too much of what [e] says: its records go into smaller ones.
 * NEXT_ON: there is but one. */
struct next isolate_narrow(struct batch *b, const struct err *e);
/* The batch is searched for a bad record, part by part. */
struct next isolate_parts(struct batch *b);
/* Of batch_of_records: the lanes' next batches have half of its records, or those
 * that there was time for; or its lanes are tried one by one, then halves of the
 * lane. */
void isolate_shrink_lanes(struct batch *b, bool is_late);
void isolate_search_lanes(struct batch *b);
/* The lane is tried alone; half of what was tried, if it [was_alone]. */
void isolate_search(struct lease *l, bool was_alone, usec now);
/* The record of [event] alone was refused: it is set aside by the next batch of
 * its lane, which finds it whatever else it holds. */
struct next isolate_found(struct batch *b, uint32_t event, const struct err *e,
                          enum failure_action action);
/* Records of the batch that were found so fail. */
void isolate_refused(struct batch *b);
/* The lane's position moved, behind lease_cleared(). */
void isolate_cleared(const struct lease *l);

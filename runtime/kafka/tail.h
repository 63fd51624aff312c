#pragma once
/*
 * Records from given offsets on, up to where the partitions ended when they were
 * looked at: for a run that changes nothing. No consumer group is joined and
 * nothing is committed; it is over in a bounded time. Blocking; not for threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/plan.h"
#include "model/record.h"

struct tail_part {
    const char *topic; /* borrowed from the plan */
    int32_t partition;
    int64_t end;  /* the offset behind its last record */
    int64_t from; /* where to read, set by the caller; TAIL_FIRST: the first
                     record there is; -1: not at all */
};
#define TAIL_FIRST (-2)

struct tail {
    struct tail_part *parts; /* owned; by topic as in the plan, and number */
    uint32_t n_parts;
    struct record *records; /* owned; of each part in turn, by offset; lane:
                               number of the part. source_header() reads headers */
    uint32_t n;
    bool is_cut;                  /* there are more than were asked for */
    struct tail_reading *reading; /* owned: the handle, the messages */
};

/* Every partition of the plan's topics and its end. NULL with e: Kafka does not
 * answer, or a setting is refused. */
struct tail *tail_open(const struct plan_source *plan, struct err *e) MUSTCHECK;
/* Up to [most] records, of each part about as many. False with e: a part could
 * not be read, or not in time. */
bool tail_read(struct tail *t, uint32_t most, uint32_t timeout_ms,
               struct err *e) MUSTCHECK;
void tail_free(struct tail *t);

#pragma once
/*
 * Whether a lane may be read on from the position that a claim found. Kafka
 * and the database each know only their own half: a position may point into
 * records that expired, into another topic of the same name, or come from a
 * database that was restored to an older time. None of these may skip or
 * repeat a record silently, so each halts the lane, with words that say what a
 * person can do. What a person did by hand is trusted (is_rewound), unless the
 * row can only be one of before: every change by hand raises the epoch.
 *
 * Pure: everything that is known comes in.
 */
#include "base/err.h"
#include "flow/lane/lane.h"
#include "postgres/store/position.h"

/* What is known beside the database's answer. */
struct verify_facts {
    int64_t low; /* what the broker has: [low, high) */
    int64_t high;
    bool has_group_offset; /* [group_offset] is known */
    int64_t group_offset;  /* the offset that the group committed; -1: none */
    int64_t epoch;         /* that this run held last; 0: never */
    int64_t position;      /* that this run knew committed; -1: none */
    bool was_rewound;      /* the row of that epoch was is_rewound */
};

/* False: the lane must halt. */
bool verify_position(const struct position *at, const struct verify_facts *f,
                     struct err *e) MUSTCHECK;
/* The same of a lane that tidemill.lane has no row of and that would begin at
 * [begin]. False: a position was there before, above the first record, so it
 * must halt; *at is the last that is known of it. */
bool verify_missing(const char *topic, int32_t partition, int64_t begin,
                    const struct verify_facts *f, int64_t *at, struct err *e);
/* the group offset is not above the position of this rewound lane: from now on
 * it can be seen whether the database went back. */
bool verify_ends_rewound(const struct position *at,
                         const struct verify_facts *f);
/* The anchor can be held against the record below the position. */
bool verify_has_anchor(const struct position *at, const struct verify_facts *f);
/* Words about a lane whose partition is_replaced: the record was another one. */
void verify_replaced(const struct lane *l, struct err *e);

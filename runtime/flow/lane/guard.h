#pragma once
/*
 * The guard of a lane: how many of its last GUARD_WINDOW records failed. A few
 * bad records are set aside; more than the limit are no bad records but a bad
 * deploy, or a table that changed, and the lane halts instead of draining its
 * topic into the dead letters. Records that are only held do not count.
 * Pure: a record is the number of records that the lane has seen before it.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { GUARD_WINDOW = 1000 };

struct guard {
    uint64_t *at; /* a ring of the last failures; [limit] of them */
    uint32_t limit;
    uint32_t n;
    uint32_t first; /* the oldest one */
};

/* Owns its ring; guard_close. */
void guard_init(struct guard *g, uint32_t limit);
void guard_close(struct guard *g);
/* A copy in the arena, to try failures on that may not come to be. */
struct guard *guard_copy(const struct guard *g, struct arena *a);
/* Takes over what became of a copy. */
void guard_take(struct guard *g, const struct guard *copy);
/* Record number [at] failed, later than all before. False: that is one too
 * many, and it is not counted. */
bool guard_add(struct guard *g, uint64_t at);
/* Why the lane halts then, for people; [reason]: of the last record. */
const char *guard_full(const struct guard *g, struct arena *a,
                       const char *reason);

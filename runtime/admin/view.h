#pragma once
/*
 * What the pages of the admin port are made from: the shared page and a few
 * words about the pipeline. Everything is read while workers write it; each
 * counter is read as a whole, but two of them may be of different moments.
 */
#include <stddef.h>
#include <stdint.h>

#include "model/page.h"

struct admin_view {
    const struct page *page; /* borrowed */
    const char *name;        /* of the pipeline */
    const char *generation;  /* hash of the bundle */
    const char *version;     /* of Tidemill */
    const char *instance;
};

/* Microseconds since the worker's last sign of life; a second below 0: there is
 * none yet. */
int64_t view_heartbeat_age(const struct page_worker *w, uint64_t now_usec);
/* Records between position and the end of the partition; 0 when unknown. */
int64_t view_lag(const struct page_lane *lane);
const char *view_lane_state(uint32_t state); /* enum page_lane_state */
/* A copy of a string that its writer may be changing, always ended. */
void view_copy(char *out, size_t cap, const char *shared);

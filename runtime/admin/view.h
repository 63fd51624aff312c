#pragma once
/*
 * What the pages of the admin port are made from: the shared page and a few
 * words about the pipeline. Everything is read while workers write it; each
 * counter is whole, but two of them need not be of the same moment.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/page.h"

struct admin_view {
    const struct page *page; /* borrowed */
    const char *name;        /* of the pipeline */
    const char *generation;  /* hash of the bundle */
    const char *version;     /* of Tidemill */
    const char *instance;
};

/* Seconds since the worker's last sign of life; negative: none yet. */
double view_heartbeat_age(const struct page_worker *w, uint64_t now_usec);
/* Records between position and the end of the partition; 0 when unknown. */
int64_t view_lag(const struct page_lane *lane);
const char *view_lane_state(const struct page_lane *lane);
/* A copy of a string that its writer may be changing, always ended. */
void view_copy(char *out, size_t cap, const char *shared);

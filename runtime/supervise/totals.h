#pragma once
/* The page summed over workers and lanes, for the live line, the progress
 * lines and the summary. */
#include <stdint.h>

#include "model/page.h"

struct totals {
    uint64_t counters[COUNTERS];
    uint64_t commit_usec;
    uint64_t commit_count;
    uint64_t errors;
    int64_t lag;
    uint32_t lanes_running;
    uint32_t lanes_halted;
    uint64_t letters; /* that are set aside now */
    uint32_t workers_ready;
};

void totals_read(const struct page *p, struct totals *out);
/* Why the first worker that is not ready is not; borrowed from the page. */
const char *totals_waiting_for(const struct page *p);

/* What happened between two readings. */
struct pace {
    double events_per_second;
    double batch_events; /* events a batch; 0: no batch */
    double commit_ms;    /* a commit; 0: no commit */
};
struct pace totals_pace(const struct totals *from, const struct totals *to,
                        uint64_t elapsed_usec);

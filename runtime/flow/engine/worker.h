#pragma once
/*
 * A worker process: one loop, one consumer, a pool, a VM for each generation. It
 * runs until it is told to stop (SIGTERM or SIGINT in its own loop), finishes or
 * gives up what is in flight (STOP_WORKER_USEC), and returns the process's exit
 * status, enum worker_exit.
 */
#include <stdint.h>

#include "base/err.h"
#include "model/page.h"

struct bundle;

struct worker_options {
    const struct bundle
        *bundle;          /* borrowed: what is loaded, and nothing else */
    const char *instance; /* group.instance.id is group-instance-slot */
    uint32_t slot;
    struct page *page;
};

/* Called in the child after the fork; no handle of librdkafka or libpq exists
 * before. Does not return to the supervisor's loop. */
int worker_run(const struct worker_options *o) MUSTCHECK;

#pragma once
/*
 * The load generator of `dev`: a process that sends what load.lua says, at
 * its rate or as fast as the pipeline takes it. It stays close to the
 * committed positions: the broker inside forgets records beyond 5 MiB of a
 * partition whether they were read or not, so at most 3 MiB and 50,000
 * records of each partition are under way.
 */
#include <sys/types.h>

#include "base/err.h"
#include "kafka/embedded.h"
#include "model/page.h"

struct dev_load {
    const char *file; /* load.lua */
    const char *brokers;
    const struct embedded_topic *topics; /* all that there are */
    uint32_t n_topics;
    const struct page *page; /* where the positions are */
};

/* The generator's pid; -1 with e. What goes wrong in it is logged there. */
pid_t dev_load_start(const struct dev_load *o, struct err *e) MUSTCHECK;

#pragma once
/*
 * A broker for `tidemill dev`: librdkafka's mock cluster in a process of its
 * own, which dies with its parent. It keeps at most 5 MiB or 100,000 messages
 * a partition in memory and forgets the oldest beyond that, read or not: who
 * produces must not run that far ahead of who consumes.
 * Not for threads.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct embedded;

struct embedded_topic {
    const char *name;
    int32_t n_partitions;
};

/*
 * Starts the broker and waits until it listens; NULL with e. [brokers]: the
 * value for brokers in kafka{}. To be called before this process has a handle
 * of librdkafka, since it forks.
 */
struct embedded *embedded_start(const struct embedded_topic *topics,
                                uint32_t n_topics, char *brokers, size_t cap,
                                struct err *e) MUSTCHECK;
void embedded_stop(struct embedded *m);

#pragma once
/*
 * A broker for `tidemill dev`: librdkafka's mock cluster in a process of its
 * own, which dies with its parent. It keeps at most 5 MiB or 100,000 messages
 * a partition in memory and forgets the oldest beyond that, read or not: who
 * produces must not run that far ahead of who consumes.
 *
 * And a small producer for the load. Not for threads.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/record.h"

struct embedded;
struct producer;

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
                                struct err *e);
void embedded_stop(struct embedded *m);

struct producer_record {
    const char *topic;
    int32_t partition; /* -1: by the key, as Java's producer does */
    const void *key;   /* NULL: none */
    size_t key_len;
    const void *value; /* NULL: a tombstone */
    size_t value_len;
    const struct record_header *headers;
    uint32_t n_headers;
};

struct producer *producer_new(const char *brokers, struct err *e);
/* Copies the record and queues it. Waits up to a second for room. */
bool producer_send(struct producer *p, const struct producer_record *r,
                   struct err *e) MUSTCHECK;
/* Waits until all is delivered; false: it was not, or an earlier record was
 * not. */
bool producer_flush(struct producer *p, int timeout_ms,
                    struct err *e) MUSTCHECK;
/* Serves what came in and says how many records still wait for delivery. */
uint32_t producer_waiting(struct producer *p);

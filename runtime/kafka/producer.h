#pragma once
/*
 * A producer: for the load of `tidemill dev`, and for dead letters. Records
 * are copied and sent in the background; who asks learns what became of them.
 * Not for threads.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/plan.h"
#include "model/record.h"

struct producer;

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

/* [options]: properties of librdkafka as in kafka{}, NULL: none; those that only
 * a consumer has are passed over. */
struct producer *producer_new(const char *brokers,
                              const struct plan_option *options, uint32_t n,
                              struct err *e) MUSTCHECK;
/* Does not wait for deliveries. */
void producer_free(struct producer *p);
/* Copies the record and queues it. Waits up to a second for room. */
bool producer_send(struct producer *p, const struct producer_record *r,
                   struct err *e) MUSTCHECK;
/* Waits until all is delivered; false: it was not, or an earlier record was
 * not. */
bool producer_flush(struct producer *p, int timeout_ms,
                    struct err *e) MUSTCHECK;
/* Where the last record stands that was delivered; offset -1: none was. */
struct producer_place {
    int32_t partition;
    int64_t offset;
};
struct producer_place producer_last(const struct producer *p);
/* Serves what came in and says how many records still wait for delivery. */
uint32_t producer_waiting(struct producer *p);
/* How many were not delivered since this was last asked; with [e], why. */
uint64_t producer_failed(struct producer *p, struct err *e);
/* Has librdkafka given up, as it does for want of a right? Nothing is sent any more,
 * also when Kafka lets us again: a new producer is. */
bool producer_is_over(const struct producer *p);
/* Was the last failure one of the record, such as its size, which it would meet
 * again? Else Kafka is in trouble, or does not let us. */
bool producer_refuses(const struct producer *p);

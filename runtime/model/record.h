#pragma once
/*
 * One Kafka record as the layers above see it: borrowed bytes. `message` is
 * its owner's handle (librdkafka's message, or NULL in specs), from which
 * headers are read when they are asked for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record_header {
    const char *name; /* NUL-terminated */
    const char *value;
    size_t len;
};

struct record {
    const char *key;   /* NULL: no key */
    const char *value; /* NULL: tombstone */
    uint32_t key_len;
    uint32_t value_len;
    int64_t offset;
    int64_t time_ms;   /* the record's own timestamp; -1: none */
    const char *topic; /* borrowed from the lane */
    int32_t partition;
    uint32_t lane; /* index of its lane in the batch */
    void *message; /* where headers come from; see record_header_fn */
};

/* The last header called [name]; false: there is none. Values may be NULL. */
typedef bool (*record_header_fn)(void *message, const char *name,
                                 struct record_header *out);
/* Header number [at]; false: there are no more. */
typedef bool (*record_header_at_fn)(void *message, uint32_t at,
                                    struct record_header *out);

#pragma once
/*
 * A look at topics without reading them: the first and the last records of
 * their partitions, for `check`. No consumer group is joined, nothing is
 * committed, and it is over in a bounded time whatever Kafka does. Blocking;
 * not for threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/plan.h"
#include "model/record.h"

/* At most so many records of each end of a partition, and so many partitions
 * of a topic: enough to see each type of event, little enough to be quick.
 * Beyond so many bytes of a topic each of its partitions gives one more. */
enum {
    PEEK_FIRST = 50,
    PEEK_LAST = 50,
    PEEK_PARTITIONS = 16,
    PEEK_BYTES = 16 << 20
};

struct peek_topic {
    const char *name;       /* borrowed from the plan */
    int32_t n_partitions;   /* 0: Kafka shows no such topic */
    struct record *records; /* owned; by partition, then offset. Headers are
                               read by source_header() */
    uint32_t n;
    uint64_t bytes;    /* of keys and values */
    char failure[200]; /* why a partition could not be read; or "" */
    bool is_refused;   /* and waiting will not change that */
};

struct peek {
    struct peek_topic *topics; /* owned; those of the plan, in its order */
    uint32_t n_topics;
    const char **names; /* owned; every topic that Kafka shows */
    uint32_t n_names;
    struct peek_reading *reading; /* owned: the handle, the messages */
};

/* NULL with e: Kafka does not answer, or a setting is refused (ERR_CONFIG). */
struct peek *peek_open(const struct plan_source *plan, uint32_t timeout_ms,
                       struct err *e) MUSTCHECK;
void peek_free(struct peek *p);

/* The first offset that Kafka has of a partition, and the one behind its last.
 * False with e; ERR_DATA: there is no such partition. */
bool peek_range(const struct plan_source *plan, const char *topic,
                int32_t partition, int64_t range[2], struct err *e) MUSTCHECK;

/* The offset behind the last record of each of [n] partitions that committed
 * transactions left to be read; -1: Kafka did not say. False with e: it does not
 * answer at all, within seconds. */
struct peek_end {
    const char *topic;
    int32_t partition;
    int64_t offset;
};
bool peek_ends(const struct plan_source *plan, struct peek_end *ends,
               uint32_t n, struct err *e) MUSTCHECK;

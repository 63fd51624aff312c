#pragma once
/*
 * The part of librdkafka that the runtime calls: consumer.c (the queue, what is
 * read, what is asked), consumer_open.c and consumer_absent.c (what no run has).
 * A consumer has one queue of what is to be told: records, ends of partitions,
 * what the group gives and takes. What it reads comes after a while, some records
 * at a time.
 */
#include <librdkafka/rdkafka.h>

#include "broker.h"

enum op_kind { OP_MESSAGE, OP_GIVE, OP_TAKE };

struct op {
    rd_kafka_message_t message; /* first: they are told apart by nobody */
    struct op *next;
    enum op_kind kind;
    uint32_t version; /* of the assignment that it was read for */
    bool given[PARTITIONS_MOST];
    int64_t time_ms;
};

struct fetch {
    struct event event;
    struct rd_kafka_s *rk;
    uint32_t partition;
    bool is_on;
    int64_t next;
    int64_t eof; /* told for this end; -1: not told */
};

struct rd_kafka_topic_s {
    char name[64];
    void *opaque;
};

struct rd_kafka_topic_conf_s {
    void *opaque;
};

struct rd_kafka_conf_s {
    void *opaque;
    void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t,
                      rd_kafka_topic_partition_list_t *, void *);
};

struct rd_kafka_queue_s {
    int fd;
};

struct rd_kafka_s {
    struct rd_kafka_s *next;
    struct proc *proc;
    struct rd_kafka_conf_s conf;
    struct rd_kafka_queue_s queue;
    rd_kafka_topic_t *topic; /* the plan's has one */
    struct op *first, **last;
    uint32_t n_ops;
    uint32_t version;
    struct fetch fetches[PARTITIONS_MOST];
};

extern struct rd_kafka_s *consumers; /* all that are open */

/* The first of its queue, or NULL. */
struct op *consumer_pop(struct rd_kafka_s *rk);
/* It reads on; [arg]: a struct fetch. */
void consumer_on_fetch(void *arg);

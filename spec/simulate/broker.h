#pragma once
/*
 * Kafka: partitions with their records, a group that shares them out, and the
 * part of librdkafka that the runtime calls (consumer_part.h), over them.
 */
#include "proc.h"
#include "world.h"

enum { PARTITIONS_MOST = 16 };

struct broker_record {
    int64_t offset;
    int64_t time_ms;
    const char *key; /* owned */
    uint32_t key_len;
    const char *value; /* owned */
    uint32_t value_len;
    void *facts; /* the model's */
};

struct broker_partition {
    struct broker_record *records; /* owned; by offset, with gaps */
    uint32_t n, cap;
    int64_t low;          /* first offset that is kept */
    int64_t high;         /* next offset */
    int64_t group_offset; /* the group's; -1: none */
};

extern struct broker_partition partitions[PARTITIONS_MOST];
extern uint32_t n_partitions;
extern const char topic_name[];

void broker_open(uint32_t n);
void broker_close(void);
/* A record at the end; texts become the broker's. Offsets may leave gaps, as
 * the marks of transactions do. */
struct broker_record *broker_append(uint32_t partition, char *key, char *value);
/* The first record at [offset] or behind it, or NULL. */
struct broker_record *broker_from(uint32_t partition, int64_t offset);
/* That one, or NULL. */
struct broker_record *broker_find(uint32_t partition, int64_t offset);

/* ---- the group ---- */

struct rd_kafka_s;

/* Who it shares out to; a process that is killed stays a member for a while. */
void group_join(struct rd_kafka_s *rk);
void group_leave(struct rd_kafka_s *rk);
/* The revocation was answered. */
void group_revoked(struct rd_kafka_s *rk);
/* Shares out anew, as if somebody had come or gone. */
void group_shake(void);
bool group_is_member(const struct rd_kafka_s *rk);

/* ---- consumer.c, for the group and the partitions ---- */

void consumer_give(struct rd_kafka_s *rk, const bool *is_given);
void consumer_take(struct rd_kafka_s *rk);
struct proc *consumer_proc(struct rd_kafka_s *rk);
/* New records, or another end. */
void consumers_wake(uint32_t partition);
/* What was made and not destroyed. */
uint32_t consumer_messages(void);

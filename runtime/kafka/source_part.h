#pragma once
/*
 * The inside of struct source: source.c (the handle, the pump),
 * source_partitions.c (who owns what, and what librdkafka reads),
 * source_trouble.c (errors into news), source_topics.c (what Kafka shows of the
 * topics), source_offsets.c (questions to the brokers), source_record.c and
 * source_group.c (who has the partitions).
 *
 * What librdkafka reads follows from the flags of the partitions alone: whoever
 * changes one sets must_apply, and the next pump hands librdkafka the list of all
 * partitions that should be read, each at partition->fetched.
 */
#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "base/loop.h"
#include "kafka/news.h"
#include "kafka/source.h"

/* Messages a call of librdkafka: enough to spread its cost, few enough that
 * the cap is not passed by much. */
enum { PUMP_CALL = 512 };

struct topic {
    char *name;                    /* owned */
    rd_kafka_topic_t *handle;      /* owned; its opaque is this struct */
    struct partition **partitions; /* owned; by number, NULL: none */
    int32_t n_partitions;
    int32_t *leaders; /* owned; by partition, as Kafka said last */
    int32_t n_leaders;
    rd_kafka_resp_err_t refusal; /* why Kafka did not tell of it; or 0 */
    uint32_t index;              /* in plan_source.topics */
};

struct source {
    rd_kafka_t *rk; /* -- set at open */
    rd_kafka_queue_t *queue;
    struct loop *loop; /* borrowed */
    struct loop_io *io;
    struct loop_timer *tick;
    int fd; /* eventfd that librdkafka's threads write */
    loop_fn wake;
    loop_fn alive; /* or NULL */
    void *arg;
    char *brokers; /* owned; for messages, as the next two */
    char *group;
    char *instance;       /* or NULL */
    struct topic *topics; /* owned */
    uint32_t n_topics;
    uint64_t cap_bytes;

    struct partition *partitions;         /* -- loop thread; owned, sorted */
    struct partition *noted, **noted_end; /* see source_noted */
    uint32_t ticks;
    uint64_t used_bytes;   /* of all inboxes */
    usec full_since;       /* the last pump stopped at the cap; 0: not */
    bool is_held;          /* full for too long: nothing is read */
    bool must_apply;       /* librdkafka's list is not what it should be */
    bool is_started;       /* that list is not empty */
    uint32_t n_leaderless; /* partitions without a leader, when last counted */
    struct news news;
    rd_kafka_queue_t *members_queue; /* owned; made when first asked */
    rd_kafka_event_t *members;       /* owned; the last answer, or NULL */
    uint32_t n_asking;               /* answers that are under way */
    int32_t coordinator;             /* broker that gave the last one, */
    bool has_coordinator;            /* if it did */
    int32_t *broker_ids;             /* owned; as Kafka told last */
    int n_brokers;
    char failure[300]; /* the last connection that failed: why; or "" */
    char said[300]; /* the last trouble that people were told, of all lanes */
    usec said_at;
    bool is_down; /* and it was that no broker answers */
    enum source_cache cache;
    const char *hint; /* what to do about it, when it is known; or NULL */
    rd_kafka_message_t *got[PUMP_CALL];
};

/* -- source.c -- */

/* Makes the loop call source->wake in its next turn. */
void source_poke(struct source *s);

/* -- source_partitions.c -- */

/* librdkafka's rebalance callback. */
void partitions_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                             rd_kafka_topic_partition_list_t *list,
                             void *source);
/* NULL: none of the plan's. */
struct topic *topics_find(struct source *s, const char *name);
/* The partition of a message; NULL: none of ours. */
struct partition *partitions_find(const rd_kafka_message_t *m);
/* The upper layer has to look at it: see source_noted. */
void partitions_note(struct source *s, struct partition *p);
void partitions_drop_inbox(struct source *s, struct partition *p, uint32_t n);
/* Makes librdkafka read what the flags say. */
bool partitions_apply(struct source *s, struct err *e) MUSTCHECK;
/* The cap has been full for long: partitions that rest give way; if there is
 * none, nothing is read any more. */
void partitions_drop_resting(struct source *s);
/* The record below the position is not the one that was applied: it is not read
 * on, and the upper layer is woken. */
void partitions_replaced(struct source *s, struct partition *p);
/* Records of it cannot be read: it is lost once its inbox is empty. */
void partitions_stuck(struct source *s, struct partition *p);
/* Once a second: ends of partitions, and waits for what should come. */
void partitions_look(struct source *s);
void partitions_free(struct source *s);

/* -- source_topics.c -- */

/* librdkafka does not find the topic: see source_cache. */
void topics_missed(struct source *s, const char *name);

/* -- source_group.c -- */

/* Kafka told which brokers there are. */
void group_brokers(struct source *s, const struct rd_kafka_metadata *all);
void group_close(struct source *s);

/* -- source_trouble.c -- */

/* librdkafka's error callback. */
void trouble_on_error(rd_kafka_t *rk, int code, const char *reason,
                      void *source);
/* And its log's. */
void trouble_on_log(const rd_kafka_t *rk, int level, const char *facility,
                    const char *text);
/* A message that is an error. */
void trouble_take(struct source *s, const rd_kafka_message_t *m);
/* What keeps a partition from going on. */
void trouble_of(struct source *s, struct partition *p, const struct err *e);
/* Any other error, for people. */
void trouble_tell(struct source *s, const struct err *e);

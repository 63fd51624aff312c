#pragma once
/*
 * The inside of struct source, for the files of this folder: source.c (the
 * handle, the pump), lanes.c (who owns what, and what librdkafka reads),
 * trouble.c (errors into news), topics.c (what Kafka shows of the topics) and
 * offsets.c (questions to the brokers).
 *
 * What librdkafka reads follows from the lanes' flags alone: whoever changes
 * one sets must_apply, and the next pump hands librdkafka the list of all
 * lanes that should be read, each at lane->fetched.
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
    char *name;               /* owned */
    rd_kafka_topic_t *handle; /* owned; its opaque is this struct */
    struct lane **lanes;      /* owned; by partition, NULL: none */
    int32_t n_lanes;
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

    struct lane *lanes;    /* -- loop thread; owned, sorted */
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
    bool is_down;     /* and it was that no broker answers */
    const char *cure; /* what to do about it, when it is known; or NULL */
    rd_kafka_message_t *got[PUMP_CALL];
};

/* -- source.c -- */

/* Makes the loop call source->wake in its next turn. */
void source_poke(struct source *s);

/* -- lanes.c -- */

/* librdkafka's rebalance callback. */
void lanes_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                        rd_kafka_topic_partition_list_t *list, void *source);
/* NULL: none of the plan's. */
struct topic *topics_find(struct source *s, const char *name);
/* The lane of a message; NULL: none of ours. */
struct lane *lanes_of(const rd_kafka_message_t *m);
void lanes_drop_inbox(struct source *s, struct lane *lane, uint32_t n);
/* Makes librdkafka read what the flags say. */
bool lanes_apply(struct source *s, struct err *e) MUSTCHECK;
/* The cap has been full for long: halted lanes give way; if there is none,
 * nothing is read any more. */
void lanes_give_way(struct source *s);
/* The record below the lane's position is not the one that was applied: the
 * lane is not read on, and the upper layer is woken. */
void lanes_replaced(struct source *s, struct lane *lane);
/* Flags that the upper layer may have changed, and ends of partitions. */
void lanes_look(struct source *s);
void lanes_free(struct source *s);

/* -- group.c -- */

/* Kafka told which brokers there are. */
void group_brokers(struct source *s, const struct rd_kafka_metadata *all);
void group_close(struct source *s);

/* -- trouble.c -- */

/* librdkafka's error callback. */
void trouble_on_error(rd_kafka_t *rk, int code, const char *reason,
                      void *source);
/* A message that is an error. */
void trouble_take(struct source *s, const rd_kafka_message_t *m);
/* What keeps a lane from going on. */
void trouble_of_lane(struct source *s, struct lane *lane, const struct err *e);
/* Any other error, for people. */
void trouble_tell(struct source *s, const struct err *e);

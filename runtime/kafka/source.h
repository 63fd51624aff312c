#pragma once
/*
 * The consumer: one librdkafka handle, one queue, an inbox a partition.
 *
 * The upper layer pulls. The source wakes it (source_new's callback, from the
 * loop) when records or news may be there; it then calls source_pump() to move
 * records into inboxes, source_news() until there is none, and source_noted()
 * until there is no partition to look at.
 *
 * Exactly once rests on three rules here. Partitions are read only from numeric
 * offsets that the database gave (source_read). Rebalance callbacks only take
 * partitions away and note what was offered. A record enters an inbox only if its
 * partition is being read at that moment and its offset is not below
 * partition->fetched, so a batch call of librdkafka 2.0.2 that a rebalance
 * interrupts cannot slip stale records into a new assignment.
 *
 * Offsets do not tell a topic that was created again from the one that was
 * read. So a partition that has an anchor is read from one record earlier: that
 * record is compared with the anchor and never enters the inbox. When it is
 * another one, nothing behind it does either (is_replaced). When it is gone
 * (compaction), nothing can be said and reading goes on.
 *
 * Nothing is paused, since a pause throws the prefetch away: at the byte cap
 * the source stops taking records and librdkafka's own limits hold the rest.
 * The exceptions are partitions that are halted (source_halt), and a cap that
 * stays full for seconds (no database): then nothing is read until the inboxes
 * have drained to half, because a rebalance would wait behind the prefetch.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "kafka/inbox.h"
#include "kafka/news.h"
#include "model/anchor.h"
#include "model/plan.h"
#include "model/record.h"

struct source;

/* What is known of a partition that the group gave us once; it lives as long as
 * the source, which alone writes its fields, but for [lane]. */
struct partition {
    const char *topic; /* owned by the source */
    int32_t number;
    uint32_t topic_index; /* in plan_source.topics */
    void *lane;           /* the upper layer's, and written by it */
    struct inbox inbox;
    usec waiting_since; /* when the oldest record came in; 0: there is none */
    int64_t fetched;    /* offset behind the newest record in the inbox */
    int64_t high;       /* its end, last seen; -1 unknown */
    int64_t eof;        /* next offset at which EOF was seen; -1: none */
    usec starved_since; /* [high] says that there are records, and none comes;
                           0: they do */
    usec open_since;    /* the partition goes on behind [eof], where nothing may
                           be read yet; 0: it does not */
    uint32_t n_offers;  /* how often the group gave it */
    bool is_offered;    /* the group gave it; waits for source_read */
    bool is_assigned;   /* false: offered, or taken away */
    bool is_used;       /* source_use: nothing of its inbox is dropped */
    bool is_out;        /* source_halt: not read until source_read */
    bool is_left_out;   /* source_leave_out */
    bool rests;         /* source_rest */
    bool is_parked;     /* it rested with records while the cap was full: they
                           were dropped and are read again afterwards */
    bool is_fetching;   /* librdkafka reads it as from [fetched] on */
    bool is_checking;   /* the record below the position comes first and is held
                           against [anchor] */
    bool is_replaced;   /* that was another one, [found]: what Kafka has is not
                           what was read before; nothing is read until
                           source_read */
    bool is_lost;       /* the broker does not have [fetched] any more */
    bool is_stuck;      /* the records at [fetched] cannot be read: nothing is
                           kept, and it is_lost once the inbox is empty */
    bool has_no_leader; /* as Kafka said last */
    usec led_at;        /* when it had one again */
    struct anchor anchor; /* of the record below the position */
    struct anchor found;
    usec check_until;  /* a check that took until then may never end: the record
                          is gone, and the last one */
    char trouble[240]; /* why nothing comes of it, as Kafka said last; "" once
                          something does */
    usec troubled_at;  /* since when */
    int64_t advised;   /* position told to Kafka last */
    int64_t tell;      /* to be told by the next source_commit; or -1 */
    struct partition *next; /* -- lists of the source */
    struct partition *next_noted;
    bool is_noted;
};

/* [instance] becomes group.instance.id; NULL: dynamic membership. */
struct source *source_new(struct loop *l, const struct plan_source *plan,
                          const char *instance, loop_fn wake, void *arg,
                          struct err *e) MUSTCHECK;
/* Leaves the group (unless static) and frees everything, messages included. */
void source_free(struct source *s);

/* Joins the group again, as the member that it is; the partitions are revoked.
 * When it is the leader, the group shares out all partitions anew. */
bool source_rejoin(struct source *s, struct err *e) MUSTCHECK;

enum source_news source_news(struct source *s, struct err *e) MUSTCHECK;
/* Moves up to [max] records into inboxes; how many. Stops at the byte cap,
 * which counts 200 bytes a record over key and value. Call it after every
 * wake, also at the cap: rebalances are served in here. When it stopped at
 * [max] it wakes again by itself. */
uint32_t source_pump(struct source *s, uint32_t max);

/* All that the group gave us once, in (topic, number) order; those of now
 * is_offered or is_assigned. */
struct partition *source_partitions(struct source *s);
/* One of them, or NULL. */
struct partition *source_partition(struct source *s, const char *topic,
                                   int32_t number);
/* The next one of which there is something to look at: the first record has
 * come into an empty inbox, its end was reached, it is_lost or is_replaced.
 * NULL: there is none. */
struct partition *source_noted(struct source *s);
/* Reads an offered or assigned partition from [position] on, dropping its inbox;
 * also what ends a halt. [below]: of the record below the position, which is
 * held against it first; NULL: it is not known. A position of -1 is to be
 * halted before the next pump. Reading starts when none is offered any more,
 * but for those that are left out. What fails comes as NEWS_ERROR, since
 * librdkafka is told by the next source_pump. Not for one that is used. */
void source_read(struct source *s, struct partition *p, int64_t position,
                 const struct anchor *below);
/* Drops the inbox (when nobody uses it any more) and stops reading it until
 * source_read. */
void source_halt(struct source *s, struct partition *p);
/* The same, of one that shall be read, and cannot be claimed now: others are not
 * kept waiting for it. Not for one that is used. */
void source_leave_out(struct source *s, struct partition *p);
/* Nobody takes records of it for now: they may be dropped when the cap is full,
 * and are read again. */
void source_rest(struct source *s, struct partition *p, bool rests);
/* A batch uses records of its inbox, which stay there until source_done, */
void source_use(struct partition *p);
/* and does so no more. */
void source_give_back(struct source *s, struct partition *p);

/* The record in front of the inbox plus [at]; borrowed from the message. */
void source_record(const struct partition *p, uint32_t at, struct record *out);
bool source_header(void *message, const char *name, struct record_header *out);
bool source_header_at(void *message, uint32_t at, struct record_header *out);
/* Commits are known: frees the first [n] messages. */
void source_done(struct source *s, struct partition *p, uint32_t n);

/* The position that the next source_commit is to tell Kafka, for lag tools. Of a
 * halted lane only one that is above [advised]: whether the database is older
 * than that must show again after a restart. */
void source_tell(struct partition *p, int64_t position);
/* Advisory: tells those positions that are not [advised] yet. Whether they come
 * is not known. */
void source_commit(struct source *s);
/* What Kafka said last against this worker; "" since the group gave it partitions, or
 * since it is over. */
const char *source_failure(const struct source *s);
/* Kafka answers, and the group has given us what it has for us: what was said is
 * over, unless it was of some brokers, and not long ago. */
void source_is_well(struct source *s);
uint64_t source_inbox_bytes(const struct source *s);
/* Records that wait in librdkafka's queue. */
uint64_t source_prefetched(const struct source *s);

/* -- questions to the brokers; each blocks, with a timeout -- */

/* [alive] is called behind each question, which is about a few hundred partitions
 * at a time, with source_new's arg. */
void source_alive(struct source *s, loop_fn alive);
/* What Kafka does not tell of one it may tell of others: codes[i] is 0, or
 * why it does not tell of list[i] (see source_no_offsets), whose offsets hold
 * nothing then.
 * First and next offset of each of [n] partitions, which fill [low] and [high]. */
void source_watermarks(struct source *s, struct partition *const *list,
                       uint32_t n, int64_t *low, int64_t *high, int *codes);
/* Next offsets alone, for figures that people see: asked briefly. True: all are
 * told. */
bool source_ends(struct source *s, struct partition *const *list, uint32_t n,
                 int64_t *ends, int *codes) MUSTCHECK;
/* The first offset whose record is not older than that, each or -1: none is. */
void source_offsets_at(struct source *s, struct partition *const *list,
                       uint32_t n, int64_t ms, int64_t *offsets, int *codes);
/* The offsets that the group committed, each or -1. */
void source_committed(struct source *s, struct partition *const *list,
                      uint32_t n, int64_t *offsets, int *codes);
/* Words about such a code. */
void source_no_offsets(const struct source *s, const struct partition *p,
                       int code, struct err *e);
/* Who of the group has a partition, by the last answer to source_ask_members,
 * which does not wait for one. */
enum holder_kind { HOLDER_UNKNOWN, HOLDER_NOBODY, HOLDER_MEMBER };
struct holder {
    char client[80]; /* its client.id */
    char host[80];
    char instance[256]; /* its group.instance.id, or "" */
};
void source_ask_members(struct source *s);
enum holder_kind source_holder(struct source *s, const char *topic,
                               int32_t partition, struct holder *out);
/* Notes with each partition of ours whether it has no leader: then nothing
 * comes of it, and librdkafka does not say so; *n: of how many. Asked briefly;
 * false: Kafka does not answer. */
bool source_look_for_leaders(struct source *s, uint32_t *n);
/* librdkafka 2.4 to 2.9 damages what it keeps of the topics when one of them is
 * deleted and made again: from then on it finds none of them, also not those that
 * were there all the time. */
enum source_cache {
    CACHE_WELL,
    CACHE_DAMAGED, /* as far as is known; not all topics are there */
    CACHE_OVER     /* all are there, and only a new source will find them */
};
enum source_cache source_cache(const struct source *s);
/* Does librdkafka of this version, as rd_kafka_version() tells it, do that? */
bool source_damages_cache(int version);
/* Of all partitions of the topics, when that was asked last. */
uint32_t source_leaderless(const struct source *s);
/* Partitions of each topic of the plan, in its order: n[i], 0 = no such
 * topic, -1 = Kafka does not tell of it (see source_no_partitions). Notes
 * leaders too. */
bool source_count_partitions(struct source *s, int32_t *n,
                             struct err *e) MUSTCHECK;
/* Words about a topic of which Kafka did not tell. */
void source_no_partitions(const struct source *s, uint32_t topic,
                          struct err *e);

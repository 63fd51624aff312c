#pragma once
/*
 * The consumer: one librdkafka handle, one queue, an inbox a lane.
 *
 * The upper layer pulls. The source wakes it (source_new's callback, from the
 * loop) when records or news may be there; it then calls source_news() until
 * there is none and source_pump() to move records into inboxes.
 *
 * Exactly once rests on three rules here. Lanes are read only from numeric
 * offsets that the database gave (source_assign, source_seek). Rebalance
 * callbacks only take lanes away and note what was offered. A record enters an
 * inbox only if its lane is being read at that moment and its offset is not
 * below lane->fetched, so a batch call of librdkafka 2.0.2 that a rebalance
 * interrupts cannot slip stale records into a new assignment.
 *
 * Offsets do not tell a topic that was created again from the one that was
 * read. So a lane that has an anchor is read from one record earlier: that
 * record is compared with the anchor and never enters the inbox. When it is
 * another one, nothing behind it does either (is_doubted). When it is gone
 * (compaction), nothing can be said and the lane goes on.
 *
 * Nothing is paused, since a pause throws the prefetch away: at the byte cap
 * the source stops taking records and librdkafka's own limits hold the rest.
 * The exceptions are lanes that are halted (source_halt), and a cap that stays
 * full for seconds (no database): then nothing is read until the inboxes have
 * drained to half, because a rebalance would wait behind the prefetch.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "model/anchor.h"
#include "model/plan.h"
#include "model/record.h"

struct source;

/* Messages of one lane that are not yet known to be committed, in order. */
struct inbox {
    void **messages; /* owned ring of librdkafka messages */
    uint32_t cap;    /* a power of two */
    uint32_t head;
    uint32_t count;
    uint64_t bytes; /* keys and values */
};

struct lane {
    const char *topic; /* owned by the source, outlives the lane */
    int32_t partition;
    uint32_t topic_index; /* in plan_source.topics */
    struct inbox inbox;
    int64_t fetched;  /* offset behind the newest record in the inbox */
    int64_t position; /* next offset, as committed; set at claim */
    int64_t epoch;
    bool was_rewound; /* the upper layer's: is_rewound of its row, as known, */
    bool settles;     /* and the claim found that this is to end */
    uint32_t claim;   /* the upper layer's: number of its claim in this
                         process; 0: none yet */
    int64_t high;     /* end of the partition, last seen; -1 unknown */
    int64_t eof;      /* next offset at which EOF was seen; -1: none */
    usec starved_since; /* [high] says that there are records, and none comes;
                           0: they do */
    usec open_since;    /* the partition goes on behind [eof], where nothing may
                         be read yet; 0: it does not */
    bool is_offered;    /* the group gave it; waits for source_assign */
    bool is_assigned;   /* false: offered, or revoked; a revoked lane is
                               freed when no batch leases it */
    bool is_leased;
    bool is_halted;
    bool is_lost;         /* the broker does not have [fetched] any more, as
                               NEWS_ERROR said; cleared by assign and seek */
    bool is_checking;     /* the record below the position comes first and
                               is held against [anchor]; set by the upper
                               layer before assign and seek */
    bool is_doubted;      /* what Kafka has is not what was read before:
                               nothing is read until assign or seek. Set by
                               the source when the record was another one,
                               [found], or by the upper layer */
    struct anchor anchor; /* of the record below the position */
    struct anchor found;
    uint64_t check_until;   /* a check that took until then (usec) may never
                               end: the record is gone, and the last one */
    bool is_shelved;        /* the upper layer cannot claim it now: it is not
                               read, nor waited for, until assign or seek */
    bool is_gone;           /* shelved, since Kafka has no such partition; the
                               group may give one that was there before */
    usec claim_at;          /* shelved: when it is to be claimed (usec) */
    uint32_t n_shelved;     /* how often in a row, since a claim was refused */
    bool is_slow;           /* shelved, after others had to wait for it */
    bool is_untold;         /* shelved, since Kafka does not tell of it: it may
                               be gone */
    uint64_t retry_at;      /* halted, but time may heal it: when to go on
                               (usec); 0: it stays halted */
    struct said told;       /* the upper layer's: the halt that was said last,
                               see log_once */
    bool needs_claim;       /* its position or epoch is in doubt; the upper
                               layer claims it again and seeks */
    uint32_t suspect_left;  /* isolation: the first so many records hold the
                               bad one; 0: nothing is suspected */
    uint32_t probe;         /* isolation: records to try next */
    uint64_t waiting_since; /* when the oldest record came in (usec); 0 none */
    bool needs_letters;     /* the upper layer has yet to learn which keys of
                               it are held; set by assign and seek */
    uint32_t cap;           /* isolation: batches stay small behind a bad
                               record, and double with each success; 0: no cap */
    uint32_t run;           /* isolation: records since the last bad one */
    uint64_t wait_until;    /* it lost against other transactions again and
                               again: taken alone, and not before (usec); 0: it
                               did not */
    uint32_t most;          /* records in its next batch, since a larger one
                               took too much; it outlives assign and seek;
                               0: as many as fit */
    bool is_told;           /* the upper layer's: that it stands */
    void *page;             /* the upper layer's: its entry in the page */
    void *dossier;          /* the upper layer's: what it remembers of it */
    int64_t advised;        /* -- the source's: position told to Kafka last */
    bool is_out;            /* source_halt: not read until source_seek */
    bool is_parked;         /* halted with records while the cap was full: they
                               were dropped and are read again afterwards */
    bool is_fetching;       /* librdkafka reads it as from [fetched] on */
    char trouble[240];      /* why nothing comes of it, as Kafka said last; ""
                               once something does */
    usec troubled_at;       /* since when */
    bool has_no_leader;     /* its partition, as Kafka said last */
    bool is_stuck;          /* the records at [fetched] cannot be read: nothing
                               is kept, and it is_lost once the inbox is empty */
    struct lane *next;      /* source's list */
};

enum source_news {
    NEWS_NONE,
    NEWS_ASSIGNED, /* lanes are offered: claim, then source_assign() */
    NEWS_REVOKED,  /* lanes were taken away: is_assigned is false */
    NEWS_FENCED,   /* another process uses this instance id: fatal */
    NEWS_ERROR     /* something to tell people; e says what */
};

/* [instance] becomes group.instance.id; NULL: dynamic membership.
 * [inbox_bytes]: cap over all inboxes. */
struct source *source_new(struct loop *l, const struct plan_source *plan,
                          const char *instance, uint64_t inbox_bytes,
                          loop_fn wake, void *arg, struct err *e) MUSTCHECK;
/* Leaves the group (unless static) and frees everything, messages included. */
void source_free(struct source *s);

/* Joins the group again, as the member that it is; the lanes are revoked. When
 * it is the leader, the group shares out all partitions anew. */
bool source_rejoin(struct source *s, struct err *e) MUSTCHECK;

enum source_news source_news(struct source *s, struct err *e) MUSTCHECK;
/* Moves up to [max] records into inboxes; how many. Stops at the byte cap,
 * which counts 200 bytes a record over key and value. Call it after every
 * wake, also at the cap: rebalances are served in here. When it stopped at
 * [max] it wakes again by itself. */
uint32_t source_pump(struct source *s, uint32_t max);

/* All lanes, the offered and the assigned, in (topic, partition) order; also
 * revoked ones that are still leased. */
struct lane *source_lanes(struct source *s);
/* One of them, or NULL. */
struct lane *source_lane(struct source *s, const char *topic,
                         int32_t partition);
/* Reads an offered lane from lane->position on; one that has none (-1) is to be
 * halted before the next pump. Reading starts when no lane is offered any more,
 * but for shelved ones. What fails comes as NEWS_ERROR, since librdkafka is told
 * by the next source_pump. Not for a leased lane. */
void source_assign(struct source *s, struct lane *lane);
/* Reads on at lane->position again, dropping the lane's inbox; also what ends
 * a halt. Not for a leased lane. */
bool source_seek(struct source *s, struct lane *lane, struct err *e) MUSTCHECK;
/* Sets is_halted, drops the inbox (when no batch leases it any more) and stops
 * reading the lane until source_seek. */
void source_halt(struct source *s, struct lane *lane);

/* Sets is_shelved. Not for a leased lane. */
void source_shelve(struct source *s, struct lane *lane);

/* The record in front of the inbox plus [at]; borrowed from the message. */
void source_record(const struct lane *lane, uint32_t at, struct record *out);
bool source_header(void *message, const char *name, struct record_header *out);
bool source_header_at(void *message, uint32_t at, struct record_header *out);
/* Commits are known: frees the first [n] messages. */
void source_done(struct source *s, struct lane *lane, uint32_t n);
/* Frees a revoked lane that no batch leases any more. */
void source_drop(struct source *s, struct lane *lane);

/* Advisory: tells Kafka the position of every assigned lane, for lag tools. Of
 * a halted lane only one that is above what Kafka knows: whether the database
 * is older than that must show again after a restart. */
void source_commit(struct source *s);
/* Was its position the last that was sent? Whether it came is not known. */
bool source_has_told(const struct lane *l);
/* What Kafka said last against this worker; "" since the group gave it lanes, or
 * since it is over. */
const char *source_failure(const struct source *s);
/* Kafka answers, and the group has given us what it has for us: what was said is
 * over, unless it was of some brokers, and not long ago. */
void source_is_well(struct source *s);
uint64_t source_inbox_bytes(const struct source *s);
/* Records that wait in librdkafka's queue. */
uint64_t source_prefetched(const struct source *s);

/* Blocking, only at claim: a question about a few hundred lanes at a time, each
 * with a timeout, and [alive] is called behind each, with source_new's arg. */
void source_alive(struct source *s, loop_fn alive);
/* What Kafka does not tell of one lane it may tell of others: codes[i] is 0, or
 * why it does not tell of lane [i] (see source_untold), whose offsets hold
 * nothing then.
 * First and next offset of each of [n] lanes, which fill [low] and [high]. */
void source_watermarks(struct source *s, struct lane *const *lanes, uint32_t n,
                       int64_t *low, int64_t *high, int *codes);
/* Next offsets alone, for figures that people see: asked briefly. True: all are
 * told. */
bool source_ends(struct source *s, struct lane *const *lanes, uint32_t n,
                 int64_t *ends, int *codes) MUSTCHECK;
/* The first offset whose record is not older than that, each or -1: none is. */
void source_offsets_at(struct source *s, struct lane *const *lanes, uint32_t n,
                       int64_t ms, int64_t *offsets, int *codes);
/* The offsets that the group committed, each or -1. */
void source_committed(struct source *s, struct lane *const *lanes, uint32_t n,
                      int64_t *offsets, int *codes);
/* Words about such a code. */
void source_untold(const struct source *s, const struct lane *l, int code,
                   struct err *e);
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
/* Notes with each lane of ours whether its partition has no leader: then nothing
 * comes of it, and librdkafka does not say so; *n: of how many. Asked briefly;
 * false: Kafka does not answer. */
bool source_look_for_leaders(struct source *s, uint32_t *n);
/* Of all partitions of the topics, when that was asked last. */
uint32_t source_leaderless(const struct source *s);
/* Partitions of each topic of the plan, in its order: n[i], 0 = no such
 * topic, -1 = Kafka does not tell of it (see source_topic_untold). Notes leaders
 * too. */
bool source_partitions(struct source *s, int32_t *n, struct err *e) MUSTCHECK;
/* Words about a topic of which Kafka did not tell. */
void source_topic_untold(const struct source *s, uint32_t topic, struct err *e);

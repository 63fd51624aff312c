#pragma once
/*
 * Claims: from lanes that the group offers (or whose position is in doubt) to
 * lanes that may be read: foreign pipelines in the group are refused, the
 * epoch is raised, missing positions are made (beginning.h), and each position
 * is held against what Kafka has and was told (verify.h). A lane that does not
 * stand that test halts; the others are read. One claim at a time.
 */
#include "base/loop.h"
#include "flow/topics.h"
#include "kafka/source.h"
#include "postgres/position.h"

struct engine;

struct claim {
    struct pgconn *conn;    /* taken while a claim runs; NULL: none runs */
    uint32_t ticket;        /* of the breaker, with it */
    struct position *lanes; /* owned */
    struct lane **claimed;  /* owned; borrowed lanes, as many */
    int64_t *offsets;       /* owned; two a lane: answers of Kafka */
    uint32_t n;
    struct topic_state *topics; /* owned; as plan_source.topics */
    bool has_gone;     /* lanes whose partition is gone: see topics.h */
    bool is_listed;    /* topics_known has run */
    uint32_t n_unread; /* partitions that no claim has made a lane of */
    usec unread_at;    /* since when; or when the group was joined again */
    uint32_t rejoins;  /* because of them */
    bool has_looked;   /* at the topics, for the claim to come */
    bool is_void;      /* a rebalance came: the answer is not used */
    bool has_created;  /* missing positions were inserted */
    usec asked_at;     /* the claim that runs began */
    usec retry_at;
    usec unshelve_at; /* lanes that are gone are looked for again */
    uint32_t failures;
    uint64_t told[2]; /* why it failed last */
};

void claim_open(struct claim *c, uint32_t n_topics);
/* Starts a claim when lanes want one; called every turn. */
void claim_turn(struct engine *g);
/* Lanes were revoked: what is under way must not be used. */
void claim_void(struct engine *g);
void claim_close(struct claim *c);

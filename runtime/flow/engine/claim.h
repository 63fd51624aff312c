#pragma once
/*
 * Claims: from lanes that the group offers (or whose position is in doubt) to
 * lanes that may be read: foreign pipelines in the group are refused, the
 * epoch is raised, missing positions are made (beginning.h), and each position
 * is held against what Kafka has and was told (verify.h). A lane that does not
 * stand that test halts; the others are read. One claim at a time.
 *
 * The epochs of all lanes are raised in one transaction. Where the database
 * refuses one, that lane is left out (left_out.h) and the rest asked for again: so
 * a row that is locked, or that a trigger or a constraint refuses, holds up no
 * other lane for longer than a short wait. A lock is waited for in the server's
 * queue, so that a zombie that commits again and again is fenced all the same,
 * but briefly; and once one did not come, others are hardly waited for.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/loop.h"
#include "flow/engine/left_out.h"
#include "flow/engine/topics.h"
#include "postgres/store/position.h"

struct engine;

struct claim {
    struct pgconn *conn;    /* taken while a claim runs; NULL: none runs */
    uint32_t ticket;        /* of the breaker, with it */
    struct position *lanes; /* owned */
    struct lane **claimed;  /* owned; borrowed lanes, as many */
    struct partition **partitions; /* owned; theirs */
    int64_t *offsets;              /* owned; two a lane: answers of Kafka */
    int *codes;                    /* owned; one a lane, with them */
    uint32_t n;
    uint32_t at;       /* lanes before it are claimed; from it on, */
    uint32_t some;     /* so many are asked for in this round */
    uint32_t most;     /* in any round, since a larger one was lost; or 0 */
    uint32_t n_alike;  /* refusals in a row that may be the table's */
    int first;         /* of the results of its transaction, for a row */
    uint32_t refused;  /* the lane whose lock is asked about */
    struct arena kept; /* of the answers of all rounds */
    bool is_hasty;     /* a lock did not come: others are not waited for */
    struct left_out left_out;
    struct position *made; /* owned; rows that are to be made */
    uint32_t n_made;
    uint32_t n_unmade;          /* that the database refused, of those */
    uint32_t n_begun;           /* lanes whose first positions are written */
    struct topic_state *topics; /* owned; as plan_source.topics */
    uint32_t n_topics;
    bool has_gone;     /* lanes whose partition is gone: see topics.h */
    bool is_listed;    /* topics_known has run */
    uint32_t n_unread; /* partitions that no claim has made a lane of */
    usec unread_at;    /* since when; or when the group was joined again */
    uint32_t rejoins;  /* because of them */
    bool has_looked;   /* at the topics, for the claim to come */
    bool is_void;      /* a rebalance came: the answer is not used */
    bool has_created;  /* missing positions were inserted */
    usec asked_at;     /* the round that runs began */
    uint32_t failures;
    struct said told; /* why it failed last */
};

void claim_open(struct claim *c, uint32_t n_topics);
/* Starts a claim when lanes want one; called every turn. */
void claim_turn(struct engine *g);
/* Lanes were revoked: what is under way must not be used. */
void claim_void(struct engine *g);
void claim_close(struct claim *c);

/* -- for the files of a claim: claim_bounds.c, made.c, found.c -- */

/* Queues BEGIN and what bounds each wait of it, behind the end of a transaction
 * that failed; c->first results come before the next one. */
void claim_begin(struct engine *g);
/* The end of that transaction alone, if there is one: sets c->first. */
void claim_roll_back(struct claim *c);
usec claim_deadline(const struct engine *g);
/* All lanes wait; the claim is tried again after a while. */
void claim_failed(struct engine *g, const struct err *e);
void claim_end(struct engine *g);
/* The reply to claim_begin() and statements for [n] rows: one of them was
 * refused, by r->failed - c->first, and that is about the row. */
bool claim_is_of_row(struct engine *g, const struct pgreply *r, uint32_t n);
/* The claim is over. */
bool claim_has_failed(struct engine *g, const struct pgreply *r);
/* In rounds, from the first lane on: missing rows are there now. */
void claim_all(struct engine *g);
/* Lane [i] of the claim is left out: see left_out.h. */
void claim_leave_out(struct engine *g, uint32_t i, const struct err *e);
/* Lanes are left out, and none is left: people see why. */
void claim_none(struct engine *g);

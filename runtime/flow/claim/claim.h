#pragma once
/*
 * Claims: from lanes that the group offers (or whose position may be stale) to
 * lanes that may be read: foreign pipelines in the group are refused, the epoch
 * is raised, missing positions are made (claim_beginning.c), and each position
 * is held against what Kafka has and was told (verify.h). A lane that does not
 * stand that test halts; the others are read. One claim at a time.
 *
 * The epochs of all lanes are raised in one transaction. Where the database
 * refuses one, that lane is left out (left_out.h) and the rest asked for again:
 * so a row that is locked, or that a trigger or a constraint refuses, holds up
 * no other lane for longer than a short wait. A lock is waited for in the
 * server's queue, so that a zombie that commits again and again is fenced all
 * the same, but briefly; and once one did not come, others are hardly waited
 * for.
 */
#include "base/arena.h"
#include "base/log.h"
#include "flow/claim/left_out.h"
#include "flow/worker/worker.h"
#include "postgres/store/position.h"

struct halts;
struct publish;
struct topics;
struct waits;

/* All borrowed. */
struct claim_needs {
    struct halts *halts;
    struct topics *topics;
    struct waits *waits;
    struct publish *publish; /* of whose letters there may be some */
};

struct claim {
    struct worker *worker; /* borrowed, as the next four */
    struct halts *halts;
    struct topics *topics;
    struct waits *waits;
    struct publish *publish;
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
    uint32_t n_unmade; /* that the database refused, of those */
    uint32_t n_begun;  /* lanes whose first positions are written */
    bool has_looked;   /* at the topics, for the claim to come */
    bool is_void;      /* a rebalance came: the answer is not used */
    bool has_created;  /* missing positions were inserted */
    usec asked_at;     /* the round that runs began */
    uint32_t failures;
    struct said logged; /* why it failed last */
};

void claim_open(struct claim *c, struct worker *w, const struct claim_needs *n);
/* Starts a claim when lanes want one; called every turn. */
void claim_turn(struct claim *c);
/* Lanes were revoked: what is under way must not be used. */
void claim_void(struct claim *c);
void claim_close(struct claim *c);

#pragma once
/*
 * A lane: one partition with its position row, the unit of order and of fencing.
 * It is made when the group gives the partition for the first time, and lives as
 * long as the worker: after a rebalance it is the same one.
 *
 * Its state names the list that holds it. lane_move() alone writes it, and knows
 * which moves there are:
 *
 *   the group gives it        OFFERED
 *   a claim takes it up       CLAIMING, which ends in LEFT_OUT, GONE, back, or in
 *   its held keys are asked   WANTS_KEYS
 *   it is free                IDLE; with records READY, NARROW, SEARCHED, WAITING
 *   a batch has it            LEASED
 *   it is not read on         HALTED, PAUSED
 *   its row may be stale       STALE, which is claimed as if it was offered
 *   the group takes it away   REVOKED
 *
 * What happens to a lane while it is LEASED is noted in [next]: lane_end_lease()
 * moves it there. The group comes before STALE, STALE before HALTED, HALTED
 * before PAUSED.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/loop.h"
#include "flow/lane/guard.h"
#include "flow/lane/held_keys.h"
#include "kafka/source.h"
#include "model/failure.h"
#include "model/page.h"

enum lane_state {
    LANE_REVOKED,  /* it is not ours */
    LANE_OFFERED,  /* the group gave it: to be claimed */
    LANE_STALE,    /* its position or epoch may be stale: to be claimed again */
    LANE_CLAIMING, /* in the claim that runs; [next]: where it goes when that
                        fails */
    LANE_LEFT_OUT, /* it could not be claimed: again at left_out.retry_at */
    LANE_GONE,     /* Kafka has no such partition: looked for then */
    LANE_WANTS_KEYS, /* claimed, and read; which of its keys are held is yet to
                        be learned; [next]: HALTED, or IDLE */
    LANE_IDLE,       /* no records wait */
    LANE_READY,      /* they do, and it may share a batch with others */
    LANE_NARROW,     /* taken alone: its batches took too much */
    LANE_SEARCHED,   /* taken alone: a bad record is searched, or close by */
    LANE_WAITING, /* taken alone, and not before wait.retry_at: it lost against
                        other transactions */
    LANE_LEASED,  /* by a batch; [next]: what it becomes then; IDLE: what its
                        records say */
    LANE_PAUSED,  /* it stands until pause_until; records stay */
    LANE_HALTED,  /* it stands until a person says more */
    LANE_STATES
};

struct lanes;

struct lane {
    struct list_link link; /* -- of lane.c */
    enum lane_state state;
    enum lane_state next;
    struct lanes *owner;     /* borrowed */
    struct lane *after;      /* in (topic, partition) order */
    struct partition *kafka; /* borrowed; lasts as long */
    const char *topic;       /* borrowed from it, */
    int32_t partition;       /* its number */
    uint32_t topic_index;    /* in plan_source.topics */
    uint32_t n_offers;       /* how often it was OFFERED, as kafka->n_offers */
    struct page_lane *page;  /* its entry; NULL: not yet known */

    int64_t
        position; /* -- its row: next offset, as committed; -1: not claimed */
    int64_t epoch;
    bool was_rewound;  /* is_rewound, as known, */
    bool ends_rewound; /* and the claim found that this is to end */
    bool
        misfits; /* halted, since position and what Kafka has do not fit: its end
                     says nothing of it */
    uint32_t claim; /* number of its claim in this process; 0: none yet */

    struct { /* -- records in its inbox, when they were counted last */
        uint32_t n;
        uint64_t bytes;
        usec since; /* when the oldest one came */
    } waiting;
    uint32_t most;    /* records in its next batch, since a larger one took too
                         much; it outlives claims; 0: as many as fit */
    usec pause_until; /* PAUSED: when it goes on */
    usec wrote_at;    /* the last commit that wrote rows of it */
    struct said logged; /* the halt that was said last, see log_once, */
    bool is_logged;     /* and that it stands */

    struct {                /* -- claims that left it out, see left_out.h */
        uint32_t n;         /* in a row, since a claim was refused */
        usec since;         /* the first of them; 0: none */
        usec at, retry_at;  /* the last one; not to be claimed before */
        bool is_slow;       /* others had to wait for it */
        bool has_no_answer; /* Kafka does not tell of it: it may be gone */
        char why[240];
    } left_out;

    struct held_keys keys; /* -- dead letters */
    struct {
        uint32_t n;              /* of it in the table, held ones included */
        struct list_link wanted; /* a person asked for some of them */
        bool has_halted;     /* a retry halted the lane: none before a person
                                    has seen to it, and it is claimed again */
        uint32_t retry_most; /* in the next retry; 0: as many as a batch */
        usec since;          /* the first retry that lost against others, */
        bool is_logged;      /* and there was a line about it */
    } letters;

    struct guard guard; /* -- failures */
    uint64_t n_seen;    /* records that the position moved over */
    bool was_halted;    /* a person looks at it: failures before do not count */

    struct {            /* -- the search for a bad record, see batch/lease.h */
        uint32_t left;  /* the first so many records hold it; 0: there is
                           no search */
        uint32_t probe; /* records to try next */
        uint32_t cap;   /* batches stay small behind a bad record, and double
                           with each success; 0: no cap */
        uint32_t run;   /* records since the last bad one */
        usec since;     /* it began; 0: nothing is searched */
        bool has_found; /* the database refuses it alone in its transaction: */
        int64_t offset; /* which one, */
        enum failure_action action; /* what is to be done, */
        struct err why;             /* and what the database said */
    } search;

    struct {              /* -- its position is not moved: see fence.h */
        int64_t epoch;    /* of the last time, */
        int64_t position; /* and where it stood */
        uint32_t n;       /* in a row, with no claim but ours between */
    } fence;

    struct {           /* -- other transactions: see conflict.h */
        usec retry_at; /* it lost again and again: taken alone, and not before;
                        0: it did not */
        usec since; /* the first batch that lost, of those since the lane moved;
                        0: it waits for nobody */
        struct list_link link; /* in lanes.held_up, while it does */
        char reason[200];      /* for whom, for people */
        bool is_shown;         /* for so long that people see it, */
        bool is_logged;        /* and that there was a line about it */
        bool is_slow;          /* or about a batch of it that gets no answer */
        uint32_t n_lost;       /* batches in a row, when the lane was alone, */
        uint32_t n_tried;      /* and attempts of all of them */
        uint32_t n_missed;     /* TM002 in a row, for one record alone, */
        uint32_t n_unproven;   /* and proofs of it that showed nothing */
        uint32_t n_cancelled;  /* 57014 of one record alone */
        bool is_unknown;       /* people were told that nobody can say why */
    } wait;
};

struct lanes {
    struct lane *first; /* owned; all, in (topic, partition) order */
    struct list in[LANE_STATES];
    struct list wanted;  /* by letters.wanted */
    struct list held_up; /* by wait.link: they wait for other transactions */
    struct held_pool held;
    uint32_t max_failed; /* see guard_init */
    usec claim_at;       /* none is claimed before */
    uint32_t n_claims;   /* of lanes, so far: gives each a number */
};

/* [held_bytes]: what the held keys of all may take. */
void lanes_init(struct lanes *ls, uint32_t max_failed, uint64_t held_bytes);
void lanes_close(struct lanes *ls);
/* What the group gave and took, as the partitions say, [first] of all: lanes of
 * new ones are made, and each is moved. */
void lanes_take(struct lanes *ls, struct partition *first);
/* Counts the records of lanes that a batch may take. */
void lanes_count(struct lanes *ls);
/* The first lane in the list, or NULL; and the one behind it. */
struct lane *lanes_in(const struct lanes *ls, enum lane_state s);
struct lane *lanes_next(const struct lane *l);
/* The lane of a partition, or NULL. */
struct lane *lanes_find(struct source *s, const char *topic, int32_t partition);
/* Is any claimed and not stale? */
bool lanes_has_claimed(const struct lanes *ls);

/* The only writer of lane->state. Aborts on a move that there is not. */
void lane_move(struct lane *l, enum lane_state to);
/* The lane is to be REVOKED, OFFERED, STALE, HALTED or PAUSED; when the lease
 * ends, if there is one. */
void lane_become(struct lane *l, enum lane_state to);
/* Nothing keeps it: it goes where its keys and records say, and counts them. */
void lane_place(struct lane *l);
/* The same, if it stands with those that a batch may take: something that decides
 * which list has changed. */
void lane_place_again(struct lane *l);
/* A batch has it, and no more. */
void lane_lease(struct lane *l);
void lane_end_lease(struct lane *l);
/* A claim takes it up; fails; or has it: it is read from l->position. */
void lane_claim(struct lane *l);
void lane_unclaim(struct lane *l);
void lane_claimed(struct lane *l);
/* Which of its keys are held is known. */
void lane_has_keys(struct lane *l);

/* Claimed, and not stale nor taken away since. */
bool lane_is_ours(const struct lane *l);
/* HALTED or PAUSED, or will be when what it is in ends. */
bool lane_is_halted(const struct lane *l);
/* Left out of claims, also while it is in one. */
bool lane_is_left_out(const struct lane *l);
/* Below 0: the row of [a] is locked before that of [b]. */
int lane_compare(const struct lane *a, const struct lane *b);

/* It waits for other transactions, since then if it did not before. */
void lane_hold_up(struct lane *l, usec since);
/* People need not see that it waits; how often it lost is still counted. */
void lane_hide_wait(struct lane *l);
/* Its wait for other transactions is over, or was before it was claimed. */
void lane_waits_no_more(struct lane *l);
/* It was claimed, and its keys are asked for: they are loaded anew, what the
 * database refused is tried again, and after a halt failures are counted from
 * nothing. */
void lane_renew(struct lane *l);
/* A person wants letters of it to be tried again, or none are left. */
void lane_want_retry(struct lane *l, bool is_wanted);

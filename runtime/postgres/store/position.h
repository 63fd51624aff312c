#pragma once
/*
 * Positions: a lane's next offset lives in tidemill.lane, and moves only in
 * the transaction that writes every record below it. A claim raises the epoch
 * with one UPDATE, which waits behind a zombie's commit and so fences it; the
 * compare-and-set of a batch names epoch and old offset and raises TM001 in
 * the server unless both still hold.
 */
#include "model/anchor.h"
#include "model/plan.h"
#include "postgres/wire/conn.h"

/* In place of an offset: the lane has begun, but where is not known, since Kafka
 * did not tell what its partition holds. anchor.ms is then when that was. */
enum { POSITION_UNBEGUN = -2 };

/* Which rows of our tables are a lane's, and $1 to $3 of such a statement. */
#define LANE_ROWS                                                              \
    "pipeline = $1 AND stream = 'main' AND topic = $2 AND partition = $3"
struct params *lane_params(struct pgconn *c, const struct plan *p,
                           const char *topic, int32_t partition);

/* One lane of a claim. */
struct position {
    const char *topic;
    int32_t partition;
    bool found;           /* out: tidemill.lane has it; the rest only then */
    int64_t next_offset;  /* out; -1: the row holds none */
    int64_t begin;        /* of POSITION_UNBEGUN, once it is known */
    int64_t epoch;        /* out */
    bool is_rewound;      /* out: it may be below the group offset */
    bool has_anchor;      /* out */
    struct anchor anchor; /* out: of the last record below next_offset */
    const char *halted;   /* out: why it waits for a person, in the reply; NULL:
                             it does not, or another generation's halt ended */
    int64_t halted_since; /* out: Unix time */
    const char *owner;    /* out, of a list: who claimed it last, or "" */
};

bool position_is_same_lane(const struct position *a, const struct position *b);
/* Queues the claim of all [n] (sorted), a statement each, for a transaction of
 * the caller's. */
void position_claim(struct pgconn *c, const struct plan *p, const char *owner,
                    const struct position *lanes, uint32_t n);
/* Reads a claim's reply into the lanes; [first]: of its results. */
void position_claimed(const struct pgreply *r, int first,
                      struct position *lanes, uint32_t n);
/* Queues the INSERT of a lane that was not found (ON CONFLICT DO NOTHING):
 * topic, partition, next_offset (with POSITION_UNBEGUN anchor.ms), epoch, and
 * halted when it is to wait for a person. Claim again afterwards. */
void position_create(struct pgconn *c, const struct plan *p,
                     const struct position *first);
/* Queues the first position of a lane that was POSITION_UNBEGUN. Nothing
 * happens unless the epoch is ours. */
void position_begin(struct pgconn *c, const struct plan *p,
                    const struct position *at, int64_t offset);
/* Queues the question who keeps others from changing the lane's row: one row of
 * words, or none, as far as the server shows it. */
void position_ask_holder(struct pgconn *c, const struct plan *p,
                         const char *topic, int32_t partition);
/* Queues the question which pipelines have positions of the plan's topics,
 * and whether this one has any at all. */
void position_owners(struct pgconn *c, const struct plan *p);
/* Of the answer. The other one is borrowed from it; NULL: there is none. */
bool position_has_any(const struct pg_result *owners, const struct plan *p);
const char *position_other(const struct pg_result *owners,
                           const struct plan *p);
/* What a batch does to the position of one lane. */
struct position_step {
    const char *topic;
    int32_t partition;
    int64_t epoch; /* must still hold, as [from] */
    int64_t from;
    int64_t to;
    struct anchor anchor; /* of the last record below [to] */
    bool ends_rewound;    /* it does what position_end_rewound() does, too */
};

/* Queues the compare-and-set of one lane: TM001 unless it holds. */
void position_move(struct pgconn *c, const struct plan *p,
                   const struct position_step *step);
/* Queues the same for a batch that leaves the position where it is: TM001
 * unless the lane is ours and stands at [at]; it does so until the commit. */
void position_fence(struct pgconn *c, const struct plan *p, const char *topic,
                    int32_t partition, int64_t epoch, int64_t at);
/* Queues the note that the group offset is not above the position: from now on
 * a position below the group offset is one of an older database. Nothing
 * happens unless the epoch is ours. */
void position_end_rewound(struct pgconn *c, const struct plan *p,
                          const struct position *at);
/* Queues that a lane waits for a person since at->halted_since. A claim by
 * another generation than [generation] ends the halt; NULL: no claim does.
 * Nothing happens unless the epoch is ours; TM005 when it is, and the row does
 * not keep it. */
void position_halt(struct pgconn *c, const struct plan *p,
                   const struct position *at, const char *why,
                   const char *generation);
/* The same without TM005: its answer tells whether the row keeps it, so that one
 * lane does not stand in the way of others. */
void position_note_halt(struct pgconn *c, const struct plan *p,
                        const struct position *at, const char *why,
                        const char *generation);
bool position_is_noted(const struct pg_result *r);
/* Queues the question whether somebody changed [n] lanes that [owner] claimed;
 * their epochs come in. */
void position_epochs(struct pgconn *c, const struct plan *p, const char *owner,
                     const struct position *lanes, uint32_t n);
/* Of the answer: was lane [i], claimed as [epoch], changed by hand or deleted?
 * Not when another worker has claimed it: the group tells us that. */
bool position_is_changed(const struct pg_result *epochs, uint32_t i,
                         int64_t epoch);
/* Queues the question for all lanes of the plan's topics. */
void position_list(struct pgconn *c, const struct plan *p);
/* Row [i] of the answer: topic, partition, next_offset, epoch, is_rewound,
 * halted and owner, which are "" where there is none. */
struct position position_listed(const struct pg_result *list, uint32_t i);
/* Queues the look for a lane row of the same Kafka group and topics but of
 * another pipeline: one row (pipeline, topic) for each found. */
void position_find_foreign(struct pgconn *c, const struct plan *p);

#pragma once
/* For the files of a claim. */
#include "base/err.h"
#include "flow/claim/claim.h"
#include "flow/claim/topics.h"
#include "flow/lane/verify.h"
#include "postgres/wire/conn.h"

/* All lanes wait; the claim is tried again after a while. */
void claim_failed(struct claim *c, const struct err *e);
void claim_end(struct claim *c);
/* The reply to claim_begin() and statements for [n] rows: one of them was
 * refused, by r->failed - c->first, and that is about the row. */
bool claim_is_of_row(struct claim *c, const struct pgreply *r, uint32_t n);
/* The claim is over. */
bool claim_has_failed(struct claim *c, const struct pgreply *r);
/* In rounds, from the first lane on: missing rows are there now. */
void claim_all(struct claim *c);
/* Lane [i] of the claim is left out: see left_out.h. */
void claim_leave_out(struct claim *c, uint32_t i, const struct err *e);
/* Lanes are left out, and none is left: people see why. */
void claim_none(struct claim *c);

/* -- claim_bounds.c */

/* Queues BEGIN and what bounds each wait of it, behind the end of a transaction
 * that failed; c->first results come before the next one. */
void claim_begin(struct claim *c);
/* The end of that transaction alone, if there is one: sets c->first. */
void claim_roll_back(struct claim *c);
usec claim_deadline(const struct claim *c);

/* -- claim_made.c: the middle of a claim whose lanes have no rows */

void made_begin(struct claim *c);

/* -- claim_beginning.c */

/* Queues what must be known, for a claim that has lanes without a position. */
void beginning_ask(struct claim *c);
/* From the reply: the rows that are to be made for them, in c->made. False:
 * none. A lane that cannot begin now is left out of the claim. */
bool beginning_decide(struct claim *c, const struct pgreply *r,
                      struct err *e) MUSTCHECK;
/* May the others begin without this row? Not where a lane that comes later would
 * begin elsewhere. */
bool beginning_may_lack(const struct claim *c, const struct position *p);

/* -- claim_firsts.c: may lanes without a position begin? */

/* A lane without a row. */
struct first {
    struct partition at; /* topic, topic_index and number */
    struct verify_facts facts;
    int code;        /* why Kafka does not tell what it holds; 0: it does */
    int64_t offset;  /* where it begins, or waits; POSITION_UNBEGUN: it begins,
                        once Kafka tells where */
    bool is_left;    /* it does not begin now */
    bool is_claimed; /* by the claim that asks */
    struct err gone; /* why it waits; class ERR_NONE: it begins */
};

/* Of one topic, by partition; thousands are looked up. */
struct places {
    uint32_t *numbers; /* owned; in the list, plus one; 0: it is not there */
    uint32_t n;
};

struct firsts {
    struct first *list; /* owned */
    uint32_t n, cap;
    struct places *places;       /* owned; by topic */
    bool has_any;                /* positions: the pipeline has begun before */
    const struct pgreply *reply; /* to beginning_ask */
};

/* Who has positions of these topics. */
const struct pg_result *firsts_owners(const struct claim *c,
                                      const struct firsts *all);
/* Neither rows nor positions. */
bool firsts_are_empty(const struct claim *c, const struct firsts *all);
/* Of a pipeline that has begun before, or onto no rows, or as it is said. */
bool firsts_may_begin(const struct claim *c, const struct firsts *all,
                      struct err *e) MUSTCHECK;

/* -- claim_found.c */

/* All lanes of the claim have their positions and are ours: ends the claim. */
void found_decide(struct claim *c);

#pragma once
/*
 * What people and the supervisor see of a worker, in the page: why it waits and
 * whether it is ready, its counters, and the entries of its lanes. Everybody
 * writes into it, and it asks nobody.
 */
#include "base/loop.h"
#include "flow/lane/lane.h"
#include "model/page.h"

/* What keeps a worker from its work, or may: each has its words while it lasts,
 * and people see all of them. */
enum reason {
    REASON_LANES,  /* the first lane that waits for other transactions */
    REASON_WORKER, /* waits.h */
    REASON_TOPICS, /* that are missing, or that Kafka does not tell of; with this
                       one or those before it the worker is not ready */
    REASON_WORK,   /* a start, a claim, the database, the failure rule */
    REASON_STANDS,  /* the first lane of which nothing comes, or that cannot be
                       claimed */
    REASON_KAFKA,   /* what it said last against the worker */
    REASON_LETTERS, /* that are to be produced */
    REASONS
};

struct show {
    struct page *page;          /* borrowed */
    const struct loop *loop;    /* borrowed: whose clock counts */
    struct page_worker *counts; /* our slot of the page */
    uint32_t slot;
    char reasons[REASONS][256]; /* "": it is well */
    bool is_ready;              /* but for the reasons before REASON_WORK */
    bool is_troubled;   /* it would be, but for what the database said */
    usec starved_since; /* no record though there is lag; or 0 */
};

void show_init(struct show *s, struct page *page, uint32_t slot);

/* -- the worker -- */

/* That wait begins or goes on, [what] and [why] for people; both "": it is
 * over. */
void show_reason(struct show *s, enum reason r, const char *what,
                 const char *why);
/* The same of a lane, which [why] then names; NULL: it is over. */
void show_reason_of(struct show *s, enum reason r, const struct lane *l,
                    const char *why);
/* REASON_WORK: the worker is not ready until show_ready(). */
void show_waits(struct show *s, const char *what, const char *why);
void show_ready(struct show *s);
/* The same for a trouble of the database. It takes no more than what there was:
 * work that is there ends by itself what it said; without any, the end of the
 * trouble does. */
void show_trouble(struct show *s, const char *why);
void show_trouble_over(struct show *s);
/* A stage ended, which is a sign of life; what it took. */
usec show_stage(struct show *s, enum page_stage stage, usec since);
/* Called time and again: has no lane any record, and is there lag? */
void show_starving(struct show *s, bool is_starving, usec now);

/* -- its lanes -- */

/* The lane's entry in the page; NULL when that is full, or for now. */
struct page_lane *show_entry(struct show *s, struct lane *lane);
/* What this run knows of the lane: the last epoch that any of its workers held
 * (0: none) and the position then (-1: not known). A lane changes hands, and
 * workers die. */
void show_seen(struct show *s, struct source *source, const char *topic,
               int32_t partition, int64_t *epoch, int64_t *position);
/* Has each of the first [n] partitions an entry? */
bool show_lists(struct show *s, const char *topic, int32_t n);
void show_lane(struct show *s, struct lane *lane);
/* A lane that the group gave us, and that cannot be claimed now. */
void show_unclaimed(struct show *s, struct lane *lane);
/* The same as show_lane, when the end of the partition was asked. */
void show_range(struct show *s, struct lane *lane, int64_t high);
void show_lost(struct show *s, struct lane *lane);

/* -- an entry; [p] may be NULL -- */

/* The lane stands, and why. */
void show_halted(struct page_lane *p, const char *why);
/* A lane whose partition is gone, so that it has no owner; false: it was shown
 * already. */
bool show_gone(struct page_lane *p, int64_t position, const char *why);
/* Nobody waits for it any more. */
void show_let_go(struct page_lane *p);

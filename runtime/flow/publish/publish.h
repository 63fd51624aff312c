#pragma once
/*
 * Dead letters that also go to a Kafka topic (dead_letters = { topic = … }).
 * The table says which are yet to be sent, in the transaction that set them
 * aside, so none is forgotten; the note that they were delivered comes after,
 * so one may be sent twice. A reader of the topic knows it by the headers
 * tidemill.topic, tidemill.partition and tidemill.offset.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/loop.h"
#include "model/record.h"

struct database;
struct decoder;
struct err;
struct pgconn;
struct plan;
struct producer;
struct show;

/* All borrowed. */
struct publish_needs {
    const struct plan *plan;
    struct decoder *decoder; /* for headers, as JSON */
    const char *owner;       /* whose lanes' letters are ours to produce */
    struct database *database;
    struct show *show;
    /* Their note failed with [e]: [named] is that in words for people. */
    void (*explain)(void *arg, const struct err *e, struct err *named);
    void *arg;
};

struct publish {
    struct publish_needs needs;
    struct producer *producer; /* owned; NULL until one is needed */
    struct pgconn *conn;       /* taken while a question is asked */
    uint32_t ticket;           /* of the breaker, with it */
    struct arena arena;        /* of the records under way */
    struct record *records;    /* arena */
    uint32_t n;                /* sent, and not yet noted */
    uint32_t most;             /* at the next look; 0: as many as ever */
    bool is_bare;     /* the next one goes without what was its record's */
    bool is_due;      /* there may be some that were not asked for */
    usec look_at;     /* or, with [n], when to note */
    usec sent_at;     /* those that are under way */
    bool is_late;     /* people were told that they take long */
    bool is_stopping; /* the worker is, at the last tick */
    /* Why they could not be produced, or noted: log_once. */
    struct said logged;
    struct said logged_unnoted;
};

void publish_open(struct publish *p, const struct publish_needs *n);
/* Another plan takes the place of the one that it was opened with. */
void publish_follow(struct publish *p, const struct plan *plan,
                    struct decoder *d);
/* Letters were written, or lanes taken over whose last owner may have left some:
 * a run that ends asks for them first, however short it was. */
void publish_due(struct publish *p);
bool publish_is_done(const struct publish *p);

/* Sends what is to be sent; called every tick. */
void publish_tick(struct publish *p, bool is_stopping, usec now);
void publish_close(struct publish *p);

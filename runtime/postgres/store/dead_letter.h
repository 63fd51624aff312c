#pragma once
/*
 * Rows of tidemill.dead_letter as a worker writes and reads them, each time
 * for a whole set of records. What is queued here belongs to the transaction
 * of the batch that moves over the records, or that applies them at last.
 */
#include "base/arena.h"
#include "model/plan.h"
#include "model/record.h"
#include "postgres/wire/conn.h"

struct dead_letter {
    const struct record *record; /* borrowed */
    const char *headers;         /* JSON, or NULL: there are none */
    bool is_held;                /* behind a failed one of its key */
    bool holds;                  /* later records of its key wait for it */
    const char *class;           /* word of err_class_name() */
    const char *sqlstate;        /* "": the database had no part in it */
    const char *message;
    const char *script; /* file:line, or NULL */
};

/* How many an answer may hold: so many, and of so many bytes, but always one. */
struct dead_letter_most {
    uint32_t n;
    uint64_t bytes;
};

/* What its row takes on the way, about. */
uint64_t dead_letter_bytes(const struct dead_letter *d);
/* Queues [n] rows, in several statements where they are large; one that is there already (the record was tried again) gets
 * the new reason and one more attempt. */
void dead_letter_put(struct pgconn *c, const struct plan *p,
                     const struct dead_letter *list, uint32_t n);
/* Queues their end: these records, of one lane, were applied. TM002 unless
 * every one was still there. */
void dead_letter_end(struct pgconn *c, const struct plan *p,
                     const struct record *records, uint32_t n);
/* Queues that nothing of the keys of these records, of one lane, is wanted any
 * more: the first of each failed again. */
void dead_letter_rest(struct pgconn *c, const struct plan *p,
                      const struct record *records, uint32_t n);

/* Queues the question for all that is set aside of these lanes; of a record
 * only topic and partition count. Rows: topic, partition, key (NULL: keys that
 * are not held), records, first offset. */
void dead_letter_ask_keys(struct pgconn *c, const struct plan *p,
                          const struct record *lanes, uint32_t n);
/* Queues the question which lanes a person wants a retry for. Rows: topic,
 * partition. */
void dead_letter_ask_wanted(struct pgconn *c, const struct plan *p);
/* Queues the question for what is to be tried again of a lane: the records
 * that a person asked for and all others of their held keys, in offset order,
 * [most] of them. Those others count as asked for from now on: the ones that
 * [most] leaves out would have nobody in front of them to wait for. Rows:
 * offset, key, value, headers, record_ms. */
void dead_letter_ask(struct pgconn *c, const struct plan *p, const char *topic,
                     int32_t partition, struct dead_letter_most most);

/* Queues the question for what is yet to be produced to a topic, of the lanes
 * that [owner] claimed, [most] of them. Rows: topic, partition, offset, key,
 * value, headers, state, class, sqlstate, message, script, generation. */
void dead_letter_ask_unpublished(struct pgconn *c, const struct plan *p,
                                 const char *owner,
                                 struct dead_letter_most most);
/* Queues the note that these were delivered. */
void dead_letter_published(struct pgconn *c, const struct plan *p,
                           const struct record *records, uint32_t n);

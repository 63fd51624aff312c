#pragma once
/*
 * A batch: records of one or more leased lanes, the rows they make, and one
 * transaction. It is reused, arena and all, by the engine's slot.
 *
 * Invariant: while a batch is not FREE, the lanes in its leases feed no other
 * batch, and their records stay in the inbox until the outcome is known.
 * Records are never changed; everything that a run makes can be thrown away
 * and made again from them and from the loaded state.
 */
#include "base/arena.h"
#include "base/list.h"
#include "base/loop.h"
#include "decode/decoder.h"
#include "flow/rows.h"
#include "kafka/source.h"
#include "lua/vm.h"
#include "postgres/conn.h"

/* Each state names the list of the engine that holds the batch. */
enum batch_state {
    BATCH_FREE,      /* free */
    BATCH_DECODING,  /* decoding: a slice a turn */
    BATCH_READY,     /* ready: keys are known; waits for a connection */
    BATCH_LOADING,   /* busy: aligned rows are read, no transaction yet */
    BATCH_OPENING,   /* busy: BEGIN, positions, locked loads */
    BATCH_WRITING,   /* busy: writes and COMMIT */
    BATCH_RESOLVING, /* resolving: COMMIT's outcome is not known */
    BATCH_ASKING,    /* busy: its lanes' positions are being asked */
    BATCH_WAITING    /* waiting: backs off before it is done again */
};

/* The first [n] records of a lane's inbox. */
struct lease {
    struct lane *lane; /* borrowed; not freed while leased */
    uint32_t first;    /* index of its first event in the batch */
    uint32_t n;
    int64_t epoch;  /* as claimed when the lease was taken */
    int64_t start;  /* position before */
    int64_t end;    /* position after: behind the last good record */
    int32_t failed; /* event that ends it early, or -1 */
    enum err_class failed_class;
};

struct batch {
    struct list_link link; /* -- set by the engine */
    enum batch_state state;
    struct engine *engine; /* borrowed */
    uint32_t slot;

    struct arena arena;      /* -- this batch's */
    struct decoder *decoder; /* borrowed */
    record_header_fn header; /* how headers of its records are read */
    struct tm_batch view;
    struct events events;
    struct record *records; /* arena */
    struct lease *leases;   /* arena; in (topic, partition) order */
    uint32_t n_leases;
    uint64_t bytes;             /* of keys and values */
    struct rows *rows;          /* owned; one a projection */
    uint32_t n_rows;            /* projections */
    uint32_t decoded;           /* records decoded so far */
    uint32_t attempts;          /* failed in a row */
    struct pgconn *conn;        /* taken from the pool while busy */
    int n_moves;                /* positions queued in the open transaction */
    struct position *positions; /* arena; RESOLVING */
    usec since;                 /* when the present step began */
    usec retry_at;              /* WAITING */
    uint32_t n_faults;          /* columns decoded late */
    uint32_t n_shortened;       /* in this run: see batch_fold */
    uint32_t n_written;
    uint32_t n_unchanged;
    bool is_blind; /* see struct writer */
};

void batch_init(struct batch *b, struct program *programs, uint32_t n);
void batch_close(struct batch *b);
/* Starts anew with these leases; records are set, nothing is decoded. */
void batch_begin(struct batch *b, struct decoder *d, const struct lease *leases,
                 uint32_t n_leases);
/* Arrays for [n] events over b->records; part of batch_begin, and of trials. */
void batch_prepare(struct batch *b, struct decoder *d, uint32_t n);
/* Decodes up to [max] more records; true when all are. */
bool batch_decode(struct batch *b, struct decoder *d, uint32_t max);
/* Rows of all projections. Records whose key cannot be computed end their
 * lane's lease. */
void batch_keys(struct batch *b, struct decoder *d, struct vm *v);
/*
 * Runs all handlers from the loaded state, without records that failed; again
 * until no more record fails. False: what is wrong with a row does not go away
 * with the last records of its lane, and taking them away one by one would
 * take for ever; [e] is what is wrong.
 */
bool batch_fold(struct batch *b, struct vm *v, struct err *e);
/* The record at [event] failed: its lane's lease ends before it. */
void batch_fail_event(struct batch *b, int32_t event, enum err_class class,
                      const char *reason);
/* Sets lease->end from what failed. */
void batch_settle(struct batch *b);
/* Index of the first event with state OK, or -1. */
int32_t batch_first_good(const struct batch *b);
uint32_t batch_n_good(const struct batch *b, const struct lease *l);
uint32_t batch_total_good(const struct batch *b);
/* Of the last record that the lease moves its position over; not for one that
 * moves nothing. */
struct anchor batch_anchor(const struct batch *b, const struct lease *l);
/* Is it of a kind that is loaded that way, with rows to load? */
bool batch_loads(const struct rows *r, enum plan_exact exact);
/* Any projection of a kind that is loaded that way, with rows to load? */
bool batch_has_loads(const struct batch *b, enum plan_exact exact);

#pragma once
/*
 * A batch: records of one or more leased lanes, the rows they make, and one
 * transaction. It is reused, arena and all, by its slot (batches.h).
 *
 * Invariant: while a batch is not FREE, the lanes in its leases feed no other
 * batch, and their records stay in the inbox until the outcome is known.
 * Records are never changed; everything that a run makes can be thrown away
 * and made again from them and from the loaded state. A record that fails is
 * set aside in the same transaction (flow/batch/failures.h); only where its
 * lane halts do the records behind it wait.
 *
 * A batch may be done again without end, and its handlers run many times in
 * each attempt, so no memory but that of records, keys and rows (arena) lives
 * longer than what made it. What scripts may make of a batch has a limit. One
 * that makes more is given up, and its records come in smaller ones
 * (isolate_over); a record that makes more alone fails.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "flow/batch/letter.h"
#include "flow/generation/generation.h"
#include "flow/lane/lane.h"
#include "flow/rows/rows.h"
#include "flow/rows/table_set.h"
#include "kafka/source.h"
#include "postgres/store/dead_letter.h"
#include "postgres/wire/conn.h"

/* Each state names the list of struct batches that holds the batch. */
enum batch_state {
    BATCH_FREE,      /* free */
    BATCH_FETCHING,  /* busy: dead letters are read, to try them again */
    BATCH_DECODING,  /* decoding: a slice a turn */
    BATCH_READY,     /* ready: keys are known; waits for a connection */
    BATCH_COMPARING, /* busy: the tables are compared with the plan */
    BATCH_LOADING,   /* busy: aligned rows are read, no transaction yet */
    BATCH_OPENING,   /* busy: BEGIN, positions, locked loads */
    BATCH_WRITING,   /* busy: writes and COMMIT */
    BATCH_DOUBTING,  /* busy: are the tables as compared? */
    BATCH_RESOLVING, /* resolving: COMMIT's outcome is not known */
    BATCH_ASKING,    /* busy: its lanes' positions are being asked */
    BATCH_WAITING    /* waiting: backs off before it is done again */
};

/* How long the longest step of a batch took in which nothing else could run. */
enum batch_pace {
    BATCH_QUICK,
    BATCH_SLOW,    /* the next one of its lanes should not be larger, */
    BATCH_TOO_SLOW /* or should be smaller */
};

/* How an attempt at a batch reads and writes: see conflict.h. */
enum attempt_kind {
    ATTEMPT_USUAL,
    ATTEMPT_PROOF, /* rolled back; shows whether a miss is a race */
    ATTEMPT_LOCKED /* rows are locked from load to COMMIT, aligned ones too */
};

/* The first [n] records of a lane's inbox. */
struct lease {
    struct lane *lane; /* borrowed; not freed while leased */
    uint32_t first;    /* index of its first event in the batch */
    uint32_t n;
    int64_t epoch; /* as claimed when the lease was taken */
    int64_t start; /* position before */
    int64_t end;   /* position after: behind the last record moved over */
    int32_t halt;  /* event before which the lane halts, or -1 */
    int32_t cut;   /* event before which this batch of it ends, since that one
                      or the one before is a truncate; or -1 */
    enum err_class halt_class;
    const char *halt_reason; /* said, or what failed before is in the arena */
    int64_t halted_since;    /* Unix time, when the transaction writes the
                                halt; 0: it does not */
    struct guard *guard;     /* said; the lane's with the failures of this
                                batch; NULL: there are none */
};

/*
 * A batch in parts, by how long each lives. A part is set to zero as a whole, by
 * batch_clear() or batch_again(): a new field needs no line there.
 *
 *   of the slot     made by batch_init(); memory and held are emptied, and kept
 *   of the batch    from batch_begin() until it is released: input, scripts,
 *                   failures, tries, tables, resolve
 *   of an attempt   until it is done again: attempt, cached, outcome
 *
 * A fold sets what it needs anew at its beginning.
 */

struct batch;
struct batch_kind;

/* Each arena is emptied when what it is for begins anew. */
struct batch_memory {
    struct arena arena;       /* this batch's, */
    struct arena loaded;      /* of the attempt at it, */
    struct arena said;        /* of its last fold: why records failed and lanes
                                 halt */
    struct arena scratch;     /* and of the last call of scripts */
    struct arena_limit limit; /* of all these and rows->values */
    uint64_t most_bytes;      /* of records, as the plan has it; 0: there is no
                                 limit (trials) */
    size_t base; /* of the arena, when that limit began; 0: it is to begin */
};

/* Keys that are held in the lane whose events get their states. */
struct batch_held {
    struct hash keys;
    int64_t *first; /* owned; [number of the key]: first offset */
    uint32_t *n;    /* owned; records held behind it */
    uint32_t cap;
};

/* What it is made of. */
struct batch_input {
    record_header_fn header; /* how headers of its records are read */
    struct tm_batch view;    /* as scripts see it */
    struct events events;
    struct record *records; /* arena */
    struct lease *leases;   /* arena; in (topic, partition) order */
    uint32_t n_leases;
    usec leased_at; /* when it got its records; of dead letters 0 */
    bool stays; /* positions of its lanes do: its records are dead letters */
    uint64_t bytes;    /* of keys and values */
    uint32_t decoded;  /* records decoded so far */
    uint32_t n_faults; /* columns decoded late */
};

/* How often a batch function may ask for rows by what it read in rows that it
 * asked for before. */
enum { BATCH_SHORTS = 16 };

/* Keys, trials and folds of it. */
struct batch_scripts {
    int32_t projection;     /* whose handlers run */
    uint32_t stamps_before; /* n_stamps when they began */
    bool must_rerun;        /* rows are used that a failed event made */
    bool is_tried;          /* batch functions have said which rows they want */
    bool is_short;     /* the last run wanted rows that are not loaded: nothing
                          of it may be written */
    uint32_t n_shorts; /* such runs inside a transaction */
    bool is_heavy;     /* the last fold took more than half of what it may: the
                          next batch should not be larger */
    enum batch_pace pace;
    int32_t late_at; /* with view.is_late: event whose handler ran then */
};

/* Which records failed, and why. */
struct batch_failures {
    struct letter *letters; /* arena; [event]; NULL: all well */
    uint32_t *stamps;  /* arena, with letters; [event]: when it was last found
                          to be applied, or not to be; 0: as at first */
    uint32_t n_stamps; /* the last one */
    uint32_t last_failed;    /* event */
    struct dead_letter *put; /* loaded; what letters_make() made of them */
    uint32_t n_put;
    struct err refusal;     /* a batch function raised, and no record did it */
    bool has_unread;        /* a column fault met records that cannot be read */
    const char *unreadable; /* said: what was said last of a field that cannot
                               be read; NULL: of none */
    bool must_wait;         /* the rule said: all of it again, later, */
    uint32_t waits_for;     /* because of this event */
    int64_t wait_ms;        /* -1: the usual back-off */
};

/* How often it was done again. */
struct batch_tries {
    bool has_begun;    /* the next attempt is not the first one */
    uint32_t n_failed; /* in a row */
    usec failed_since; /* the first failure of this batch; 0: none */
    usec retry_at;     /* WAITING, RESOLVING: not before */
    bool is_logged;    /* people were told that it waits */
};

/* One attempt, on one connection: see conflict.h for how it goes. */
struct batch_attempt {
    struct pgconn *conn; /* taken from the pool while busy; kept by resets, */
    uint32_t ticket;     /* as the breaker's, while the outcome is open */
    usec since;          /* when the present step began */
    enum attempt_kind kind;
    uint32_t lock_ms; /* its wait for a lock; 0: as the session says, */
    bool waits_long;  /* and that it does though others stand meanwhile */
    usec begun_at;    /* its transaction */
    int n_begun;      /* statements that began the open transaction, */
    int n_moves;      /* and positions that are queued in it */
};

/* The tables that it began with: compare.h. */
struct batch_tables {
    uint32_t era;
    bool has_compared;       /* it was the one that compared them */
    struct err *failed_with; /* loaded; if the tables fit; or NULL */
};

/* How an attempt uses the row cache: row_cache.h. */
struct batch_cached {
    bool is_used;     /* it takes part, */
    uint32_t era;     /* with the cache as it was when it began to load */
    uint32_t n_found; /* rows that came from the cache */
    bool keeps;       /* what its transaction leaves may be cached */
};

/* What an attempt wrote. */
struct batch_outcome {
    uint32_t n_written;
    uint32_t n_unchanged;
    bool has_unloaded_update; /* see struct writer */
};

/* RESOLVING: what the lanes' positions say of a COMMIT. */
struct batch_resolve {
    struct position *positions; /* arena; NULL: not yet asked for */
    uint32_t n_asked;           /* the database refused to tell so often */
};

struct batch {
    struct list_link link; /* -- of the slot; set by batches.c */
    enum batch_state state;
    struct run *run; /* borrowed */
    struct generation
        *generation;  /* -- held from batch_bind() on; while FREE NULL */
    uint32_t rows_of; /* number of the one that the rows were made for */
    /* Asked about each record that fails; NULL: it is held (specs). */
    void (*ask)(struct batch *b, uint32_t event);
    struct rows *rows;            /* owned; one a projection */
    uint32_t n_rows;              /* projections */
    struct table_set *table_sets; /* owned; one a batch function */
    uint32_t n_table_sets;
    struct batch_memory memory;
    struct batch_held held;

    const struct batch_kind *kind; /* -- of the batch; set by who begins it */
    struct batch_input input;
    struct batch_scripts scripts;
    struct batch_failures failures;
    struct batch_tries tries;
    struct batch_tables tables;
    struct batch_resolve resolve;

    struct batch_attempt attempt; /* -- of the attempt */
    struct batch_cached cached;
    struct batch_outcome outcome;
};

void batch_init(struct batch *b);
void batch_close(struct batch *b);
/* From here to batch_unbind it is of that generation, and has rows for it. */
void batch_bind(struct batch *b, struct generation *g);
/* It is over. Nothing of it may be looked at any more. */
void batch_unbind(struct batch *b);
/* Gives back all that an earlier batch of the slot had. */
void batch_clear(struct batch *b);
/* Another attempt begins: gives back what the last one loaded, and what its
 * statements needed. Why lanes halt is known until the next fold. */
void batch_again(struct batch *b);
/* Starts anew with these leases; binds the generation. Records are set, nothing
 * is decoded. */
void batch_begin(struct batch *b, struct generation *g,
                 const struct lease *leases, uint32_t n_leases);
/* Arrays for [n] events over b->input.records; part of batch_begin, and of trials. It is
 * bound. */
void batch_prepare(struct batch *b, uint32_t n);
/* Decodes up to [max] more records; true when all are. */
bool batch_decode(struct batch *b, uint32_t max);
/* Bytes that the scripts may make of it. */
uint64_t batch_most(const struct batch *b);
/* Keys, a trial or a fold follow: what was taken before the keys, or the first
 * of the others, does not count. A record alone begins anew each time, since no
 * smaller batch can be made of it. */
void batch_limit(struct batch *b);
/* Do the scripts make more of it than they may, or take too long (view.is_late),
 * and is it more than one record? Then nothing that was made is to be used. */
bool batch_is_over(const struct batch *b);
/* Sets lease->end. */
void batch_set_ends(struct batch *b);
/* How many events the database is asked to apply; *only: the last of them. */
uint32_t batch_applied(const struct batch *b, uint32_t *only);
/* Index of the first event with state OK, or -1. */
int32_t batch_first_good(const struct batch *b);
/* Has its transaction a compare-and-set for the lane? */
bool batch_moves(const struct batch *b, const struct lease *l);
/* Records that the position moves over: applied, skipped or set aside. */
uint32_t lease_moved(const struct lease *l);
uint32_t batch_moved(const struct batch *b);
/* Of the last record that the lease moves its position over; not for one that
 * moves nothing. */
struct anchor batch_anchor(const struct batch *b, const struct lease *l);
/* Is it of a kind that is loaded that way, with rows to load? */
bool batch_loads(const struct rows *r, enum plan_exact exact);
/* Any projection of a kind that is loaded that way, with rows to load? */
bool batch_has_loads(const struct batch *b, enum plan_exact exact);

/* Is the event a truncate that is to be applied? */
static inline bool batch_is_truncate(const struct batch *b, uint32_t event)
{
    const struct plan_topic *topics = b->rows[0].program->topics;

    return b->input.events.ops[event] == 't' &&
           b->input.events.states[event] != TM_EVENT_SKIPPED &&
           topics[b->input.events.topics[event]].truncate == TRUNCATE_APPLY;
}

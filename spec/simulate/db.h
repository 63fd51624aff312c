#pragma once
/*
 * The database: rows with their versions, the transactions that lock and change
 * them, and who waits for whom. A version is visible to others once its
 * transaction commits; a row that is locked makes others wait.
 */
#include "world.h"

enum { KEY_MOST = 48, VALUES_MOST = 4, OWNER_MOST = 48, WHY_MOST = 160 };

/* The tables: tidemill.lane, tidemill.dead_letter, then those of the pipeline,
 * as world/pipeline.lua declares them. */
enum table { LANES, LETTERS, CHAINS, LEDGER, TOTALS, SUMS, TABLES };

struct lane_value {
    int64_t next_offset;
    int64_t epoch;
    int64_t anchor_ms, anchor_hash, halted_at;
    bool has_offset, has_anchor, has_anchor_ms, is_rewound, is_halted;
    char owner[OWNER_MOST];
    uint32_t life; /* of the worker that claimed it last; 0: a person changed it
                      since, or nobody waits for the answer of that claim */
    char halted[WHY_MOST];
    char halted_generation[66]; /* "": none */
};

struct letter_value {
    bool is_failed; /* or held */
    bool holds;
    bool is_wanted; /* retry_at */
    uint32_t attempts;
};

/* A row of the pipeline's tables. */
struct row_value {
    int64_t of[VALUES_MOST];
    bool is_null[VALUES_MOST];
};

struct version {
    bool exists;
    uint32_t xmin;
    uint64_t seq; /* when it was committed */
    union {
        struct lane_value lane;
        struct letter_value letter;
        struct row_value row;
    };
};

struct tx;

struct row {
    struct row *next; /* of its bucket */
    struct row *more; /* of its table */
    enum table table;
    uint32_t partition;         /* LANES, LETTERS, LEDGER */
    int64_t offset;             /* LETTERS, LEDGER */
    char key[KEY_MOST];         /* of the others; "" */
    struct version now, before; /* as committed */
    struct version mine;        /* the holder's */
    bool is_changed;            /* by the holder */
    bool is_edited;             /* by a person, and by nobody since */
    struct tx *holder;
    struct row *held; /* the holder's next */
};

struct session;

struct tx {
    struct session *session;
    struct row *rows; /* locked, the last one first */
    uint32_t xid;
    uint64_t snapshot; /* REPEATABLE READ: sees what was committed by then */
    bool is_snapshot;
    bool is_implicit; /* ends with the Sync */
    bool has_failed;
    uint32_t lock_ms; /* 0: the session's */
};

void db_open(void);
void db_close(void);
struct tx *db_begin(struct session *s, bool is_snapshot);
/* The model looks first at what it changes. */
void db_commit(struct tx *t);
void db_rollback(struct tx *t);

struct row *db_row(enum table t, uint32_t partition, int64_t offset,
                   const char *key);
/* All of a table, in no order. */
struct row *db_rows(enum table t);
/* What the transaction sees; NULL: no row. */
const struct version *db_see(const struct tx *t, const struct row *r);
/* Locks it; false: somebody else has it, and t->session waits for them. */
bool db_lock(struct tx *t, struct row *r);
/* A REPEATABLE READ that meets what came later. */
bool db_is_stale(const struct tx *t, const struct row *r);
/* To change a row that is locked. */
struct version *db_change(struct tx *t, struct row *r);

/* -- pq_server.c's -- */

/* Its statement waits for the holder of a row. */
void session_wait(struct session *s, struct tx *holder);
/* The holder is gone: those that wait try again. */
void sessions_wake(struct tx *holder);
/* A server process of nobody, for what people do. */
struct session *session_of_people(void);
/* Of the worker that waits for its answers; 0: nobody does. */
uint32_t session_life(const struct session *s);

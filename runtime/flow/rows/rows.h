#pragma once
/*
 * The rows that one projection touches in one batch.
 *
 * Two copies of a row's cells are kept: `base`, as loaded from the database,
 * which nothing but a load may change, and the working cells that handlers
 * assign. A run begins by copying base over the working cells, so a batch can
 * be run again (without a failed record, after a lost race) from the same
 * state: every run over the same records gives the same rows.
 *
 * Memory has three lives (see batch.h): keys, pairs and the tables of cells are
 * the batch's, what base points to is of an attempt, and what handlers assign,
 * layers included, begins anew with each run. Keys are canonical bytes: what
 * sorts and what is compared; two rows of one batch never have the same.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "decode/value/convert.h"
#include "flow/rows/program.h"
#include "model/api.h"

/* Of `newer`: an earlier state of a row, see layers.h. */
struct layer {
    uint32_t row;
    int32_t before;        /* the row's layer before this one, or -1 */
    uint64_t *mask;        /* values; assigned columns */
    struct tm_cell *cells; /* values; [n_columns], keys too */
};

/* Where a text that grows in a row is kept, so that each value of it does not
 * take memory of its own. Nothing but the cell of that column and row refers to
 * it. */
struct room {
    char *p; /* values */
    uint32_t cap;
};

enum rows_mark {
    ROWS_FROM_CACHE = 1, /* its base came from the cache, not from a load */
    ROWS_WRITTEN = 2     /* a statement that writes it was queued */
};

struct rows {
    struct tm_rows view;     /* what Lua sees; first, so that a pointer to it
                                 is a pointer to us */
    struct program *program; /* borrowed */
    struct arena *arena;     /* borrowed from the batch, as is [loaded]: for
                                what lives as long as the batch, */
    struct arena *loaded;    /* as long as its attempt, */
    struct buf text;         /* owned; what the last tm_text gave */
    struct arena values;     /* owned; and until the next run of the handlers */
    struct events *events;   /* borrowed from the batch */
    struct decoder *decoder; /* borrowed; set when keys are collected */
    struct hash hash;        /* row keys; kept across batches */
    struct tm_cell **base;   /* [column][row], as loaded */
    uint8_t *base_flags;     /* TM_ROW_LOADED | TM_ROW_EXISTS, or 0 */
    const char **unheld;     /* loaded; [row] below n_known: why the table's row
                                could not be loaded; NULL: there is none such */
    uint32_t *xmins;         /* [row]; aligned folds */
    struct room **rooms;     /* values; [column][row below cap_rooms]; NULL: no
                                text was large yet */
    uint32_t cap_rooms;
    uint32_t *order;       /* arena; rows in key order; NULL: not yet asked
                                for */
    uint32_t *asked;       /* rows of the load under way, in key order */
    uint8_t *marks;        /* [row], enum rows_mark; NULL: none of its rows
                                are cached */
    uint32_t *row_lease;   /* arena; [row]: the lease of all its events, or
                                UINT32_MAX; with marks, set by row_cache.c */
    uint32_t *cache_hash;  /* arena, with row_lease; [row] */
    uint32_t n_from_cache; /* rows that came from the cache */
    uint32_t *pair_event;  /* the pairs as they are collected; the view
                                 shows them from rows_ready on */
    uint32_t *pair_row;
    uint32_t n_pairs;
    uint32_t *chosen; /* keys in Lua: events to compute keys for; what
                                 the view shows as pairs until rows_ready */
    uint32_t n_chosen;
    uint8_t *repeated; /* [pair]; fold with `once`: it was left out, since
                            its row has a version as new; else NULL */
    int first_answer;  /* append with `once`: of its statements in the flush */
    int n_answers;
    uint32_t n_repeated; /* append with `once`: rows that were there before */
    uint32_t n_written; /* of the last writer_write(), as the writer has them */
    uint32_t n_unchanged;
    uint32_t *row_event;         /* append: the event of each row; of a batch
                            function: the last one that asked for it */
    struct table_set *table_set; /* of its batch function, or NULL */
    uint32_t n_known;            /* rows below were loaded, or are not there */
    uint32_t *good_event; /* set: pairs whose events are applied; NULL: never
                             needed */
    uint32_t *good_row;
    struct tm_groups groups; /* set: of this run, once asked for */
    bool has_groups;
    uint32_t cap_rows;
    uint32_t cap_pairs;
    uint32_t first_row;   /* 1 for merge: row 0 is scratch */
    struct layer *layers; /* values; `newer`: see layers.h */
    uint32_t n_layers;
    uint32_t cap_layers;
    int32_t *last_layer;        /* arena; [row], -1: none; `newer` */
    struct tm_cell *deleted_at; /* arena; [row], mirror whose deletes have a
                                   version: the last one's; MISSING: one had
                                   none; else NULL */
    int32_t emptied_by; /* the truncate that empties the table, or -1; then
                           the batch has no rows of it */
    bool is_stale;      /* the events that they were made of are not those
                           that are applied: the handlers must run again */
    uint32_t stamp_at;  /* the batch's n_stamps when they were made */
};

void rows_init(struct rows *r, struct program *g);
void rows_close(struct rows *r);
/* Forgets everything; pairs and rows of a new batch follow. See keys_begin. */
void rows_begin(struct rows *r, struct arena *a, struct arena *loaded,
                struct events *ev);
/* [event] enters the row of these key cells, which are of the key's types; a
 * row that it has entered already it does not enter again. */
uint32_t rows_enter(struct rows *r, uint32_t event, const struct tm_cell *key);
/* The row of a key, converted from these n_key cells; TM_NO_ROW; TM_NO_KEY with
 * [e]: it is no key of these types. */
int64_t rows_find(struct rows *r, const struct tm_cell *key,
                  struct err *e) MUSTCHECK;
/* The row of a key that a batch function asks for: n_key cells, which may point
 * into strings of Lua. It is made if new; -1 with e: no key of these types. Of
 * an aligned table only rows that events enter can be here: the batch's own
 * memory of them, such as the row cache's, does not grow. */
enum { ROWS_OF_OTHERS = -2 };
int64_t rows_ask(struct rows *r, const struct tm_cell *key, int32_t event,
                 struct err *e) MUSTCHECK;
/* Has the batch made more than it may? Then no call makes any more. */
bool rows_are_over(const struct rows *r);
/* What such a call says. */
extern const char rows_made_too_much[];
/* As tm_put (model/api.h), with the value in that arena. */
int rows_put(struct rows *r, struct arena *a, uint32_t column, uint32_t row,
             const struct tm_cell *in);
/* Is it one of the rows that the event entered? */
bool rows_entered(const struct rows *r, uint32_t row, uint32_t event);
/* A copy of [old_size] bytes at the beginning of [size] new ones. */
void *rows_grown(struct arena *a, const void *old, size_t old_size,
                 size_t size);
/* Room for twice as many rows, behind rows_ready. */
void rows_grow(struct rows *r);
/* [event] wants a key that Lua computes. */
void rows_choose(struct rows *r, uint32_t event);
/* After the last rows_enter: cells for the other columns, nothing loaded. */
void rows_ready(struct rows *r);
/* Sets working cells and flags to the loaded state; before each run. */
void rows_restart(struct rows *r);
/* The same for one row. */
void rows_restart_one(struct rows *r, uint32_t row);
/* Forgets what was loaded; before a load is repeated, or its memory goes. */
void rows_unload(struct rows *r);
/* The table holds the row, with a value that no cell can: nothing may be done
 * to it. */
void rows_not_held(struct rows *r, uint32_t row, const char *why);
/* Why that is so; NULL: it is not. */
const char *rows_unheld(const struct rows *r, uint32_t row);
/* The last good event that entered the row: whom to blame for it. */
int32_t rows_last_event(const struct rows *r, uint32_t row);
bool rows_changed(const struct rows *r, uint32_t row);
/* Changes that `once` left out, of events that are applied. */
uint32_t rows_repeated(const struct rows *r);
/* append with `once`, of each row in order after a hash_reset: has no row
 * before it the same value in that column? */
bool rows_is_first(struct rows *r, uint32_t row);
/* What the event has at a node of the decoder; -1: nothing, MISSING. */
static inline const struct tm_cell *rows_cell(const struct rows *r, int node,
                                              uint32_t event)
{
    static const struct tm_cell missing = {.tag = TM_MISSING};

    return node >= 0 && r->events->columns[node]
               ? &r->events->columns[node][event]
               : &missing;
}

/* The row was deleted, or begins anew: it has no layers. */
static inline void rows_drop_layers(struct rows *r, uint32_t row)
{
    if (r->n_layers) {
        r->last_layer[row] = -1;
    }
}

static inline bool rows_is_given(const struct tm_cell *c)
{
    return c->tag != TM_MISSING && c->tag != TM_NULL;
}

/* The rules of conversion for the event that is being handled; -1: for what
 * no event gave, those in which all topics that the projection reads agree. */
struct convert_rules rows_rules(const struct rows *r, int32_t event);
/*
 * A number of a script for a column of this type: does it come from an event as
 * it is, and is its unit known there? event.time is milliseconds in every
 * format, and so are times of which a schema says what they are. A batch
 * function may have it from any event. Sets c->hint.
 */
void rows_know_time(const struct rows *r, int32_t event,
                    const struct coltype *t, struct tm_cell *c);

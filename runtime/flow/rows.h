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
 * Memory is the batch's arena. Keys are canonical bytes: what sorts and what
 * is compared; two rows of one batch never have the same.
 */
#include "base/api.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "decode/convert.h"
#include "flow/program.h"

struct layer;

struct rows {
    struct tm_rows view;     /* what Lua sees; first, so that a pointer to it
                                 is a pointer to us */
    struct program *program; /* borrowed */
    struct arena *arena;     /* borrowed from the batch */
    struct events *events;   /* borrowed from the batch */
    struct decoder *decoder; /* borrowed; set when keys are collected */
    struct hash hash;        /* row keys; kept across batches */
    struct tm_cell **base;   /* [column][row], as loaded */
    uint8_t *base_flags;     /* TM_ROW_LOADED | TM_ROW_EXISTS, or 0 */
    uint32_t *xmins;         /* [row]; aligned folds */
    uint32_t *order;         /* rows in key order; NULL: not yet asked for */
    uint32_t *pair_event;    /* the pairs as they are collected; the view
                                 shows them from rows_ready on */
    uint32_t *pair_row;
    uint32_t n_pairs;
    uint32_t *chosen; /* keys in Lua: events to compute keys for; what
                                 the view shows as pairs until rows_ready */
    uint32_t n_chosen;
    uint32_t *row_event; /* append: the event of each row */
    uint8_t *repeated;   /* [pair]; fold with `once`: it was left out, since
                            its row has a version as new; else NULL */
    int first_answer; /* append with `once`: of its statements in the flush */
    int n_answers;
    uint32_t n_repeated; /* append with `once`: rows that were there before */
    uint32_t cap_rows;
    uint32_t cap_pairs;
    uint32_t first_row;   /* 1 for merge: row 0 is scratch */
    struct layer *layers; /* arena; `newer`: see layers.h */
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
/* Forgets everything; pairs and rows of a new batch follow. */
void rows_begin(struct rows *r, struct arena *a, struct events *ev);
/* [event] enters the row of these key cells, which are of the key's types; a
 * row that it has entered already it does not enter again. */
uint32_t rows_enter(struct rows *r, uint32_t event, const struct tm_cell *key);
/* The row of a key, converted from these n_key cells; -1: none; -2 with e: it
 * is no key of these types. */
int64_t rows_find(struct rows *r, const struct tm_cell *key, struct err *e);
/* [event] wants a key that Lua computes. */
void rows_choose(struct rows *r, uint32_t event);
/* After the last rows_enter: cells for the other columns, nothing loaded. */
void rows_ready(struct rows *r);
/* Sets working cells and flags to the loaded state; before each run. */
void rows_restart(struct rows *r);
/* The same for one row. */
void rows_restart_one(struct rows *r, uint32_t row);
/* Forgets what was loaded; before a load is repeated. */
void rows_unload(struct rows *r);
/* The last good event that entered the row: whom to blame for it. */
int32_t rows_last_event(const struct rows *r, uint32_t row);
bool rows_changed(const struct rows *r, uint32_t row);
/* Changes that `once` left out, of events that are applied. */
uint32_t rows_repeated(const struct rows *r);
/* append with `once`, of each row in order after a hash_reset: has no row
 * before it the same value in that column? */
bool rows_is_first(struct rows *r, uint32_t row);
/* The rules of conversion for the event that is being handled. */
struct convert_rules rows_rules(const struct rows *r, int32_t event);

#pragma once
/*
 * The tables of one batch function. Each of them is a projection of the plan
 * with rows of its own; what makes them a set is that one call in Lua changes
 * all of them, so they are stale together and run again together.
 *
 * Rows that the function asks for by key are loaded like those that events
 * enter, but become known only while it runs. A run that met one that is not
 * loaded is thrown away; what it asked for stays in the rows, is loaded with
 * the others, and the function runs again. So a trial before the transaction
 * (set_try) finds most of them without a lock; see transact.c for the rest.
 */
#include "flow/rows.h"

struct batch;
struct vm;

struct set {
    struct tm_set view; /* first, so that a pointer to it is one to us */
    struct rows *rows;  /* borrowed: of the first table; the others follow */
    uint32_t *events;   /* arena: all that it takes, in batch order */
    uint32_t n_events;
    uint32_t *good; /* arena: those that are applied; NULL: all were so far */
};

/* The sets of these rows, in an array that the caller frees; n_set: how many. */
struct set *sets_new(struct rows *rows, uint32_t n_rows, uint32_t *n_sets);
void sets_free(struct set *sets, uint32_t n_sets);
/* Is it the first table, for which the function is run? */
bool set_leads(const struct rows *r);
/* The events that it takes follow, with the keys of its first table. */
void set_reset(struct set *s, struct arena *a, uint32_t n_events);
void set_add(struct set *s, uint32_t event);
/* Before each run: rows as they were loaded, and the events that are applied. */
void set_begin(struct set *s);
/* Calls the function until no record fails in it, or the batch is refused
 * (b->refusal), or rows are missing (b->is_short). With b->must_rerun the rows
 * are not as they should be. */
void set_run(struct set *s, struct batch *b, struct vm *v);
/* Calls it for what it asks for alone: nothing of it stays but rows to load. */
void set_try(struct set *s, struct batch *b, struct vm *v);

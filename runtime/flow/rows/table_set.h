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
 * (table_set_try) finds most of them without a lock; see run/attempt.c for the
 * rest.
 */
#include "flow/rows/rows.h"

struct table_set {
    struct tm_table_set view; /* first, so that a pointer to it is one to us */
    struct rows *rows; /* borrowed: of the first table; the others follow */
    uint32_t *events;  /* arena: all that it takes, in batch order */
    uint32_t n_events;
    uint32_t *good; /* arena: those that are applied; NULL: all were so far */
};

/* The sets of these rows, in an array that the caller frees; n_set: how many. */
struct table_set *table_sets_new(struct rows *rows, uint32_t n_rows,
                                 uint32_t *n_sets);
void table_sets_free(struct table_set *sets, uint32_t n_sets);
/* Is it the first table, for which the function is run? */
bool table_set_leads(const struct rows *r);
/* The events that it takes follow, with the keys of its first table. */
void table_set_reset(struct table_set *s, struct arena *a, uint32_t n_events);
void table_set_add(struct table_set *s, uint32_t event);
/* Before each run: rows as they were loaded, and the events that are applied. */
void table_set_begin(struct table_set *s);

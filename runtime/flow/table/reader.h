#pragma once
/*
 * Rows of folds that are read: loaded before a run, as a set, and checked at
 * the end of a transaction when they came from the row cache instead.
 */
#include "base/err.h"
#include "flow/rows/rows.h"
#include "postgres/wire/conn.h"

/* Queues the load of all rows but those that came from the cache; there must
 * be some. [is_locked]: see sql_load. */
void reader_load(struct rows *r, struct pgconn *c, bool is_locked);
/* Reads its result into base cells. Rows with a value that no cell can hold are
 * left out (rows_not_held); false: the table is not as it was declared. */
bool reader_loaded(struct rows *r, const struct pg_result *result,
                   struct err *e) MUSTCHECK;
/* Behind writer_write: queues a check of the rows that came from the cache and
 * that nothing writes. TM002 unless they are as they were. */
void reader_verify(struct rows *rows, uint32_t n, struct pgconn *c);

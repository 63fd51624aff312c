#pragma once
/*
 * Several projections may write other columns of one table. Each locks rows in the
 * order of their keys, but one behind the other, so that two transactions would wait
 * for each other: one at a time has such a table, from its beginning on. Where it needs
 * several of them, all transactions lock them in one order.
 */
#include "flow/rows/rows.h"
#include "postgres/wire/conn.h"

/* Queues a lock of each such table of which there are rows, before any other lock of
 * the transaction. [rows]: of all projections; how many statements that were. */
uint32_t table_locks_add(const struct rows *rows, uint32_t n, struct pgconn *c);

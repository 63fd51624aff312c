#pragma once
/*
 * From rows to statements: one set-based statement for each kind of change (and
 * set of assigned columns), in key order, or a few where rows are large. What
 * is queued is copied by the connection; nothing here waits.
 */
#include "flow/rows/rows.h"
#include "postgres/wire/conn.h"

struct writer {
    uint64_t statement_bytes; /* of the parameters of one, at most; 0: the
                                 usual */
    uint32_t n_written;       /* rows queued since writer_begin */
    uint32_t n_unchanged;     /* rows left out since they hold what they held */
    bool has_unloaded_update; /* an UPDATE of such rows is queued */
};

void writer_begin(struct writer *w);
/* Queues all changes of [n] projections: what is deleted first, children
 * before their parents, then the rest, parents before their children, so that
 * no foreign key or unique index meets a row that is about to go. */
void writer_write(struct writer *w, struct rows *rows, uint32_t n,
                  struct pgconn *c);
/* Rows of appends with `once` that were queued and were in the table before:
 * in all, and for each projection in n_repeated. [reply]: of the flush. */
uint32_t writer_written(struct rows *rows, uint32_t n,
                        const struct pgreply *reply);

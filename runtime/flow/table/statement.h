#pragma once
/*
 * One statement over some rows of a projection, for whoever reads and writes
 * them: its parameters, which are the connection's, and its place in the queue.
 */
#include "flow/rows/rows.h"
#include "postgres/wire/conn.h"

/* Its rows: their numbers, in key order. */
struct selection {
    uint32_t *rows;
    uint32_t n;
    const uint64_t *mask;   /* assigned columns */
    struct tm_cell **cells; /* [column][row]; NULL: the rows' own */
};

/* Of its parameters, about. */
uint64_t statement_bytes(const struct rows *r, const struct selection *s);
/* Key columns, then the columns of the mask: one array each. */
struct params *statement_params(struct pgconn *c, const struct rows *r,
                                const struct selection *s);
/* Behind them: as they were loaded. */
void statement_xmins(struct params *ps, const struct rows *r,
                     const struct selection *s);
/* Queues it; the index of its result. */
int statement_send(struct rows *r, struct pgconn *c,
                   enum program_statement what, const uint64_t *mask,
                   struct params *ps);

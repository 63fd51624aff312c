/* See table_locks.h. */
#include "flow/table/table_locks.h"

#include <stdio.h>

/* Of pg_advisory_xact_lock; the other half is the table. */
enum { LOCK_CLASS = 0x746d696c };

static bool has_rows(const struct rows *r)
{
    return r->view.n_rows > r->first_row;
}

/* The next table to lock behind that one; 0: there is none. Not the order of
 * projections: those that have rows differ from batch to batch. */
static uint32_t next_table(const struct rows *rows, uint32_t n, uint32_t last)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t oid = rows[i].program->facts->oid;

        if (rows[i].program->plan->is_part && has_rows(&rows[i]) &&
            oid > last && (next == 0 || oid < next)) {
            next = oid;
        }
    }
    return next;
}

uint32_t table_locks_add(const struct rows *rows, uint32_t n, struct pgconn *c)
{
    uint32_t n_added = 0;
    char sql[80];

    for (uint32_t oid = next_table(rows, n, 0); oid > 0;
         oid = next_table(rows, n, oid)) {
        snprintf(sql, sizeof(sql), "SELECT pg_advisory_xact_lock(%d, %d)",
                 LOCK_CLASS, (int)oid);
        pgconn_add_sql(c, sql);
        n_added++;
    }
    return n_added;
}

/* See table_locks.h. */
#include "flow/table/table_locks.h"

#include <stdio.h>

/* Of pg_advisory_xact_lock; the other half is the table. */
enum { LOCK_CLASS = 0x746d696c };

static bool has_rows(const struct rows *r)
{
    return r->view.n_rows > r->first_row;
}

static bool is_same_table(const struct rows *rows, uint32_t i, uint32_t k)
{
    int first = rows[i].program->plan->part_of;

    return first >= 0 &&
           (first == (int)k || first == rows[k].program->plan->part_of);
}

/* The first one with rows locks it for all. */
static bool is_to_lock(const struct rows *rows, uint32_t i)
{
    if (!rows[i].program->plan->is_part || !has_rows(&rows[i])) {
        return false;
    }
    for (uint32_t k = 0; k < i; k++) {
        if (is_same_table(rows, i, k) && has_rows(&rows[k])) {
            return false;
        }
    }
    return true;
}

uint32_t table_locks_add(const struct rows *rows, uint32_t n, struct pgconn *c)
{
    uint32_t n_added = 0;
    char sql[80];

    for (uint32_t i = 0; i < n; i++) {
        if (is_to_lock(rows, i)) {
            snprintf(sql, sizeof(sql), "SELECT pg_advisory_xact_lock(%d, %d)",
                     LOCK_CLASS, (int)rows[i].program->facts->oid);
            pgconn_add_sql(c, sql);
            n_added++;
        }
    }
    return n_added;
}

/* See demand.h. */
#include "flow/rows/demand.h"

#include <stdio.h>

bool demand_lacks(const struct rows *r, const uint64_t *mask)
{
    const struct program *g = r->program;
    bool lacks = false;

    for (uint32_t w = 0; w < g->n_words; w++) {
        lacks |=
            (g->facts->must_be_given[w] & g->all_values[w] & ~mask[w]) != 0;
    }
    return lacks;
}

/* Is the cell what a NOT NULL column would refuse? An upsert may leave a
 * column out, since the row may be there; the others insert. */
static bool is_refused(const struct rows *r, uint32_t column, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;
    uint8_t tag = r->view.cells[column][row].tag;
    bool may_be_there = p->kind == KIND_MIRROR || p->kind == KIND_MAP;

    return columns_has(r->program->facts->must_be_given, column) &&
           (tag == TM_NULL || (tag == TM_MISSING && !may_be_there));
}

/* NULLs are never equal, so a repeat would be inserted again. */
static bool has_identity(const struct rows *r, uint32_t row, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (p->kind != KIND_APPEND || p->once < 0 ||
        r->view.cells[p->once][row].tag > TM_NULL) {
        return true;
    }
    return err_set(e, ERR_DATA,
                   "%s.%s: the row has no value for it, by which a repeated "
                   "event is known (once): assign it",
                   p->table, p->columns[p->once].name);
}

/* Of a row of which others write the other columns: none of ours with a value is
 * as if it had not been there, so that rows would depend on how events are cut into
 * batches. */
static bool is_told(const struct rows *r, uint32_t row, struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    bool is_told = !p->is_part || p->kind != KIND_FOLD;

    for (uint32_t i = p->n_key; i < p->n_columns && !is_told; i++) {
        is_told = r->view.cells[i][row].tag > TM_NULL;
    }
    return is_told ||
           err_set(e, ERR_DATA,
                   "%s: the row has no value in any column of this projection, "
                   "so that it could not be told from one that another "
                   "projection made: assign one of them",
                   p->table);
}

static bool is_made(const struct rows *r, uint32_t row)
{
    uint8_t f = r->view.flags[row];

    return (f & TM_ROW_TOUCHED) && (f & TM_ROW_EXISTS);
}

int tm_row_told(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    const struct rows *r = (const struct rows *)view; /* its first field */
    struct err e;

    must(row < view->n_rows);
    if (!is_made(r, row) || is_told(r, row, &e)) {
        return 0;
    }
    snprintf(b->error, sizeof(b->error), "%.500s", e.text);
    b->error_class = (int32_t)e.class;
    return -1;
}

static bool check_row(struct rows *r, uint32_t row, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (!has_identity(r, row, e) || !is_told(r, row, e)) {
        r->events->view->current = rows_last_event(r, row);
        return false;
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (is_refused(r, i, row)) {
            r->events->view->current = rows_last_event(r, row);
            return err_set(e, ERR_DATA,
                           "%s.%s: the row has no value for it, and the column "
                           "is NOT NULL without a default: %s",
                           p->table, p->columns[i].name,
                           p->kind == KIND_MIRROR
                               ? "let it be NULL, as its source is"
                               : "assign it, or give it an `initial`");
        }
    }
    return true;
}

bool demand_check(struct rows *r, uint32_t *row, struct err *e)
{
    for (; *row < r->view.n_rows; (*row)++) {
        if (is_made(r, *row) && !check_row(r, *row, e)) {
            return false;
        }
    }
    return true;
}

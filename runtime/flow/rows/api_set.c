/* What a batch function calls: "batch functions" in model/api.h. */
#include <stdio.h>

#include "flow/rows/table_set.h"

struct tm_table_set *tm_table_set_of(struct tm_rows *view)
{
    return &((struct rows *)view)->table_set->view;
}

static int say(struct tm_batch *b, const struct err *e)
{
    snprintf(b->error, sizeof(b->error), "%.500s", e->text);
    b->error_class = (int32_t)e->class;
    return -1;
}

/* An aligned row is its lane's: another batch may hold it, and whether it is in
 * this one is chance. */
static bool may_reach(const struct rows *r, int64_t row, int32_t event,
                      struct err *e)
{
    if (r->program->plan->exact != EXACT_ALIGNED ||
        (row >= 0 && event >= 0 &&
         rows_entered(r, (uint32_t)row, (uint32_t)event))) {
        return true;
    }
    return err_set(e, ERR_SCRIPT,
                   "a row of '%s' belongs to the records of its key, and this "
                   "event is none of them: write shared = true beside its key "
                   "to reach any row",
                   r->program->plan->table);
}

/* Naming one beforehand is no harm: nothing is done to it. */
static bool is_held(const struct rows *r, int64_t row, struct err *e)
{
    const char *why = row < 0 ? NULL : rows_unheld(r, (uint32_t)row);

    return !why || err_set(e, ERR_DATA, "%s", why);
}

int tm_row_of(struct tm_batch *b, struct tm_rows *view,
              const struct tm_cell *key, int names)
{
    struct rows *r = (struct rows *)view;
    struct tm_table_set *s = &r->table_set->view;
    int64_t row;
    struct err e;

    if (rows_are_over(r)) {
        err_set(&e, ERR_SCRIPT, "%s", rows_made_too_much);
        return say(b, &e);
    }
    row = rows_ask(r, key, b->current, &e);
    if (row == -1 || !may_reach(r, row, b->current, &e) ||
        (!names && !is_held(r, row, &e))) {
        return say(b, &e);
    }
    if (row < r->n_known || r->program->plan->exact == EXACT_ALIGNED) {
        return (int)row;
    }
    s->n_unknown++;
    s->n_named += names != 0;
    return s->n_named && !names ? TM_ROW_LATER : (int)row;
}

/* By counting: rows are dense numbers. */
static void make_groups(struct rows *r)
{
    const struct tm_rows *v = &r->view;
    struct tm_groups *g = &r->groups;
    struct arena *a = &r->values;
    uint32_t *place = arena_zero(a, (v->n_rows + 1) * sizeof(*place));
    uint32_t at = 0;

    g->n = 0;
    g->rows = arena_alloc(a, (v->n_rows + 1) * sizeof(*g->rows));
    g->first = arena_alloc(a, (v->n_rows + 1) * sizeof(*g->first));
    g->events = arena_alloc(a, (v->n_pairs + 1) * sizeof(*g->events));
    for (uint32_t i = 0; i < v->n_pairs; i++) {
        place[v->pair_row[i]]++;
    }
    for (uint32_t i = 0; i < v->n_pairs; i++) {
        uint32_t row = v->pair_row[i], n = place[row] & INT32_MAX;

        if (!(place[row] >> 31)) {
            g->rows[g->n] = row;
            g->first[g->n++] = at;
            place[row] = at | 1U << 31;
            at += n;
        }
        g->events[place[row]++ & INT32_MAX] = v->pair_event[i];
    }
    g->first[g->n] = at;
}

const struct tm_groups *tm_groups(struct tm_rows *view)
{
    struct rows *r = (struct rows *)view;

    if (!r->has_groups) {
        make_groups(r);
        r->has_groups = true;
    }
    return &r->groups;
}

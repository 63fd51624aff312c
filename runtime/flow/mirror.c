/* See mirror.h. */
#include "flow/mirror.h"

static bool convert_value(struct rows *r, uint32_t column, uint32_t event,
                          const struct convert_rules *rules,
                          struct tm_cell *out, struct err *e)
{
    const struct plan_column *c = &r->program->plan->columns[column];
    const struct tm_cell *in =
        &r->events->columns[r->program->sources[column]][event];

    if (convert_cell(&c->type, in, rules, r->arena, out, e)) {
        return true;
    }
    return err_wrap(e, "%s.%s", r->program->plan->table, c->name);
}

/* `newer`: an older version of the row changes nothing. */
static bool is_older(const struct rows *r, uint32_t row,
                     const struct tm_cell *now)
{
    const struct tm_cell *have = &r->view.cells[r->program->plan->newer][row];

    if (!(r->view.flags[row] & TM_ROW_EXISTS) || have->tag == TM_MISSING ||
        have->tag == TM_NULL) {
        return false;
    }
    return now->tag == TM_NULL || tm_cell_compare(now, have) <= 0;
}

/* All columns are converted before one is changed. */
static bool overwrite(struct rows *r, uint32_t event, uint32_t row,
                      struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    const struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct tm_cell cells[PROGRAM_MAX_COLUMNS];

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (!convert_value(r, i, event, &rules, &cells[i], e)) {
            return false;
        }
    }
    if (p->newer >= 0 && is_older(r, row, &cells[p->newer])) {
        return true;
    }
    r->view.flags[row] |= TM_ROW_TOUCHED | TM_ROW_EXISTS;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (cells[i].tag != TM_MISSING) {
            r->view.cells[i][row] = cells[i];
        }
    }
    return true;
}

bool mirror_apply(struct rows *r, uint32_t *pair, struct err *e)
{
    struct tm_batch *b = r->events->view;

    for (; *pair < r->view.n_pairs; (*pair)++) {
        uint32_t event = r->view.pair_event[*pair];
        uint32_t row = r->view.pair_row[*pair];

        if (r->events->states[event] != TM_EVENT_OK) {
            continue;
        }
        b->current = (int32_t)event;
        if (r->events->ops[event] == 'd') {
            tm_row_delete(b, &r->view, row);
        } else if (!overwrite(r, event, row, e)) {
            return false;
        }
    }
    b->current = -1;
    return true;
}

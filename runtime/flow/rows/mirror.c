/* See mirror.h. */
#include "flow/rows/mirror.h"

#include "flow/rows/layers.h"

static bool convert_value(struct rows *r, uint32_t column, uint32_t event,
                          const struct convert_rules *rules,
                          struct tm_cell *out, struct err *e)
{
    const struct plan_column *c = &r->program->plan->columns[column];
    const struct tm_cell *in =
        &r->events->columns[r->program->sources[column]][event];

    if (convert_cell(&c->type, in, rules, &r->values, out, e)) {
        return true;
    }
    return err_wrap(e, "%s.%s", r->program->plan->table, c->name);
}

/* `newer`: an older version of the row changes nothing. */
static bool is_older(const struct rows *r, uint32_t row,
                     const struct tm_cell *now)
{
    const struct tm_cell *have = &r->view.cells[r->program->plan->newer][row];

    if (!(r->view.flags[row] & TM_ROW_EXISTS) || have->tag <= TM_NULL) {
        return false;
    }
    return now->tag == TM_NULL || tm_cell_compare(now, have) <= 0;
}

static bool no_version(const struct rows *r, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    return err_set(e, ERR_DATA,
                   "%s.%s: the event has no value for it, and without it "
                   "nobody can tell which version of the row is the later "
                   "one (newer)",
                   p->table, p->columns[p->newer].name);
}

/* Of columns that this event leaves alone others may know the values. */
static void cover(struct rows *r, uint32_t row, const struct tm_cell *cells)
{
    const struct plan_projection *p = r->program->plan;
    struct tm_cell *before = r->program->scratch + p->n_columns;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        before[i] = r->view.cells[i][row];
        r->view.cells[i][row].tag = TM_MISSING;
    }
    layers_cover(r, row, before, cells);
}

/* What an UPDATE left alone stays in a row that is there; but one that changes
 * the key of a row is told as a delete and a new row, which would lack it. */
static bool is_whole(const struct rows *r, uint32_t event,
                     const struct tm_cell *cells, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        const struct tm_cell *in =
            &r->events->columns[r->program->sources[i]][event];

        if (cells[i].tag == TM_MISSING && in->tag != TM_MISSING) {
            return err_set(
                e, ERR_DATA,
                "%s.%s: the connector left the value of this new row out: an "
                "UPDATE changed the row's key and left this large column alone "
                "(TOAST). Set REPLICA IDENTITY FULL on the source table; for "
                "this row discard the record, and update the column there",
                p->table, p->columns[i].name);
        }
    }
    return true;
}

/* All columns are converted before one is changed. */
static bool overwrite(struct rows *r, uint32_t event, uint32_t row,
                      struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    const struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct tm_cell *cells = r->program->scratch;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (!convert_value(r, i, event, &rules, &cells[i], e)) {
            return false;
        }
    }
    if (r->events->ops[event] == 'c' && !is_whole(r, event, cells, e)) {
        return false;
    }
    if (p->newer >= 0) {
        if (cells[p->newer].tag == TM_MISSING) {
            return no_version(r, e);
        }
        if (is_older(r, row, &cells[p->newer])) {
            return true;
        }
        cover(r, row, cells);
    }
    r->view.flags[row] |= TM_ROW_TOUCHED | TM_ROW_EXISTS;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (cells[i].tag != TM_MISSING) {
            r->view.cells[i][row] = cells[i];
        }
    }
    return true;
}

/* Of several deletes the last version counts, and one without counts above all:
 * the rows between them are not in the table. */
static void note_delete(struct rows *r, uint32_t row, const struct tm_cell *now)
{
    struct tm_cell *at = &r->deleted_at[row];
    bool is_first = !(r->view.flags[row] & TM_ROW_CLEARED);

    if (now->tag <= TM_NULL) {
        at->tag = TM_MISSING;
    } else if (is_first ||
               (at->tag > TM_NULL && tm_cell_compare(now, at) > 0)) {
        *at = *now;
    }
}

/* A delete takes a newer row away only where it says no version. */
static bool delete_row(struct rows *r, uint32_t event, uint32_t row,
                       struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    const struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct tm_cell now = {.tag = TM_MISSING};

    if (p->newer_deletes) {
        if (!convert_value(r, (uint32_t)p->newer, event, &rules, &now, e)) {
            return false;
        }
        if (now.tag > TM_NULL && is_older(r, row, &now)) {
            return true;
        }
        note_delete(r, row, &now);
    }
    tm_row_delete(r->events->view, &r->view, row);
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
        bool is_delete = r->events->ops[event] == 'd';

        if (!(is_delete ? delete_row : overwrite)(r, event, row, e)) {
            return false;
        }
    }
    b->current = -1;
    return true;
}

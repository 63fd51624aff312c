/* See reader.h. */
#include "flow/table/reader.h"

#include "flow/rows/order.h"
#include "flow/rows/unheld.h"
#include "flow/table/statement.h"
#include "postgres/wire/encode.h"

/* Rows of which that can be said, in key order; [n]: how many. */
static uint32_t *
pick(struct rows *r, bool (*is_one)(const struct rows *, uint32_t), uint32_t *n)
{
    uint32_t *picked =
        arena_alloc(r->loaded, (r->view.n_rows + 1) * sizeof(*picked));
    const uint32_t *order = order_once(r);

    *n = 0;
    for (uint32_t i = 0; i < r->view.n_rows; i++) {
        if (is_one(r, order[i])) {
            picked[(*n)++] = order[i];
        }
    }
    return picked;
}

static bool is_unknown(const struct rows *r, uint32_t row)
{
    return !(r->marks[row] & ROWS_FROM_CACHE);
}

static bool is_unchecked(const struct rows *r, uint32_t row)
{
    return r->marks[row] == ROWS_FROM_CACHE;
}

/* By these rows' keys, and for STATEMENT_VERIFY their xmins and how many. */
static void ask(struct rows *r, struct pgconn *c, enum program_statement what,
                uint32_t *rows, uint32_t n)
{
    struct selection s = {.rows = rows, .n = n};
    struct params *ps = statement_params(c, r, &s);

    if (what == STATEMENT_VERIFY) {
        statement_xmins(ps, r, &s);
        params_int8(ps, s.n);
    }
    statement_send(r, c, what, NULL, ps);
}

void reader_load(struct rows *r, struct pgconn *c, bool is_locked)
{
    uint32_t n = r->view.n_rows;

    r->n_known = n;
    if (r->n_from_cache > 0) {
        r->asked = pick(r, is_unknown, &n);
    } else {
        rows_unload(r);
        r->asked = order_once(r);
    }
    ask(r, c, is_locked ? STATEMENT_LOCK : STATEMENT_LOAD, r->asked, n);
}

/* Of a table and one that inherits from it. A statement would write both, and
 * count one too many, which may hide that another row was not written. */
static bool is_twice(struct rows *r, uint32_t row)
{
    const char *table = r->program->plan->table;

    if (!(r->base_flags[row] & TM_ROW_LOADED)) {
        return false;
    }
    rows_not_held(r, row,
                  arena_printf(r->loaded,
                               "%s: the row's key is in the table twice: a "
                               "table that inherits from it has it too",
                               table));
    return true;
}

/* The row is there for others, and nothing of ours is: it begins with `initial`,
 * as one does that nobody made. */
static void begin_part(struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (r->base[i][row].tag > TM_NULL) {
            return;
        }
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->base[i][row].tag = TM_MISSING;
    }
    r->base_flags[row] = TM_ROW_LOADED;
}

static bool read_row(struct rows *r, const struct pg_result *result, int at,
                     struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    bool aligned = p->exact == EXACT_ALIGNED;
    uint32_t row = r->asked[pg_int(result, at, 0) - 1];
    int first = aligned ? 2 : 1;

    if (is_twice(r, row)) {
        return true;
    }
    r->base_flags[row] = TM_ROW_LOADED | TM_ROW_EXISTS;
    if (aligned) {
        int len;
        const char *x = pg_value(result, at, 1, &len);
        uint32_t wire;

        memcpy(&wire, x, sizeof(wire));
        r->xmins[row] = __builtin_bswap32(wire);
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        int len = 0;
        const char *v = pg_value(result, at, first + (int)(i - p->n_key), &len);
        struct tm_cell *cell = &r->base[i][row];

        if (!v) {
            cell->tag = TM_NULL;
        } else if (!encode_read(&p->columns[i].type, v, len, r->loaded, cell,
                                e)) {
            if (e->class != ERR_DATA) {
                return err_wrap(e, "%s.%s", p->table, p->columns[i].name);
            }
            rows_not_held(r, row, unheld_words(r, row, i, v, e));
            return true;
        }
    }
    if (p->is_part) {
        begin_part(r, row);
    }
    return true;
}

bool reader_loaded(struct rows *r, const struct pg_result *result,
                   struct err *e)
{
    int n = pg_rows(result);

    for (int i = 0; i < n; i++) {
        if (!read_row(r, result, i, e)) {
            return false;
        }
    }
    return true;
}

void reader_verify(struct rows *rows, uint32_t n, struct pgconn *c)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_picked = 0;
        uint32_t *picked = NULL;

        if (rows[i].n_from_cache > 0) {
            picked = pick(&rows[i], is_unchecked, &n_picked);
        }
        if (n_picked > 0) {
            ask(&rows[i], c, STATEMENT_VERIFY, picked, n_picked);
        }
    }
}

/* See statement.h. */
#include "flow/table/statement.h"

#include "postgres/wire/encode.h"

static bool is_sent(const struct plan_projection *p, const struct selection *s,
                    uint32_t column)
{
    return column < p->n_key || columns_has(s->mask, column);
}

uint64_t statement_bytes(const struct rows *r, const struct selection *s)
{
    const struct plan_projection *p = r->program->plan;
    struct tm_cell **cells = s->cells ? s->cells : r->view.cells;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < p->n_columns; i++) {
        if (is_sent(p, s, i)) {
            bytes += encode_bytes(&p->columns[i].type, cells[i], s->rows, s->n);
        }
    }
    return bytes;
}

struct params *statement_params(struct pgconn *c, const struct rows *r,
                                const struct selection *s)
{
    const struct plan_projection *p = r->program->plan;
    struct params *ps = pgconn_params(c);

    for (uint32_t i = 0; i < p->n_columns; i++) {
        if (is_sent(p, s, i)) {
            params_array(ps, &p->columns[i].type,
                         (s->cells ? s->cells : r->view.cells)[i], s->rows,
                         s->n);
        }
    }
    return ps;
}

void statement_xmins(struct params *ps, const struct rows *r,
                     const struct selection *s)
{
    uint32_t *xmins = arena_alloc(r->loaded, (s->n + 1) * sizeof(uint32_t));

    for (uint32_t i = 0; i < s->n; i++) {
        xmins[i] = r->xmins[s->rows[i]];
    }
    params_xids(ps, xmins, s->n);
}

int statement_send(struct rows *r, struct pgconn *c,
                   enum program_statement what, const uint64_t *mask,
                   struct params *ps)
{
    const char *s = program_stmt(r->program, what, mask);
    bool varies = program_varies(r->program, mask);

    return pgconn_add_series(c, s, varies ? (uint32_t)PGCONN_VARIED : 0, ps);
}

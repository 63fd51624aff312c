/* See unheld.h. */
#include "flow/rows/unheld.h"

#include "decode/value/time.h"
#include "postgres/wire/encode.h"

/* Of each value of a key that is told. */
enum { TOLD_KEY = 60 };

/* "id 7", or "owner x, bank y" */
static void put_key(struct buf *out, const struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = 0; i < p->n_key; i++) {
        size_t from;

        buf_printf(out, "%s%s ", i ? ", " : "", p->columns[i].name);
        from = out->len;
        convert_text(&p->columns[i].type, &r->view.cells[i][row], out);
        if (out->len > from + TOLD_KEY) {
            out->len = from + TOLD_KEY;
            buf_puts(out, "...");
        }
    }
}

static void put_stamp(struct buf *out, const struct coltype *t, const char *p)
{
    int64_t days, clock;

    encode_split_stamp(p, &days, &clock);
    buf_reserve(out, 80);
    out->len += time_put_date(days, out->data + out->len);
    buf_puts(out, " ");
    buf_reserve(out, 40);
    out->len += time_put_clock(clock, out->data + out->len);
    buf_puts(out, t->kind == TYPE_TIMESTAMPTZ ? "+00" : "");
}

const char *unheld_words(const struct rows *r, uint32_t row, uint32_t column,
                         const char *p, const struct err *why)
{
    const struct plan_column *c = &r->program->plan->columns[column];
    struct buf out = {0};
    const char *words;

    buf_printf(&out, "%s.%s of the row with ", r->program->plan->table,
               c->name);
    put_key(&out, r, row);
    buf_puts(&out, ": the table holds ");
    if (c->type.kind == TYPE_NUMERIC) {
        encode_tell_numeric(p, &out);
    } else {
        put_stamp(&out, &c->type, p);
    }
    buf_printf(&out,
               ", which cannot be loaded (%s): change it in the table, then "
               "tidemill dlq retry",
               why->text);
    words = arena_printf(r->loaded, "%.*s", (int)out.len, out.data);
    buf_close(&out);
    return words;
}

/*
 * Columns of change events: names, and what decimals without a schema seem to
 * be. Nothing is read by these guesses: they tell a person which word to write.
 * See recognise_part.h.
 */
#include <string.h>

#include "decode/json/base64.h"
#include "inspect/recognise_part.h"
#include "model/decimal.h"

enum { SHOWN = 40 };

/* ---- names ---- */

static void judge_name(struct looking *k, const struct plan_projection *p,
                       const struct plan_column *c)
{
    struct names names = {0};
    const struct sight *shown = NULL;

    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!sight_is_full(s)) {
            continue;
        }
        if (tokens_member(s->row, c->name)) {
            return;
        }
        names_add(k, &names, s->row);
        shown = s;
    }
    if (shown) {
        find_warning(k, shown,
                     arena_printf(k->arena,
                                  "%s.%s: the source's row has no such column, "
                                  "but %s",
                                  p->table, c->name, names_text(k, &names)),
                     arena_printf(k->arena,
                                  "name the column as the source does, or see "
                                  "column.exclude.list of the connector%s",
                                  names_hint(k, &names, c->name)));
    }
}

/* ---- decimals ---- */

/* What was seen of one numeric column. */
struct decimals {
    const struct sight *fraction; /* a JSON number that is not whole */
    const struct sight *decimal;  /* the text of a decimal */
    const struct sight *base64;   /* of an unscaled integer; or an object */
    const struct sight *either;   /* "1234" is both */
};

static bool is_base64(const struct tm_cell *c)
{
    char bytes[SHOWN];

    return c->len > 0 && c->len % 4 == 0 && c->len <= SHOWN &&
           base64_decode(c->p, c->len, bytes) > 0;
}

static void note(const struct sight **slot, const struct sight *s)
{
    if (!*slot) {
        *slot = s;
    }
}

/* bigint unsigned has whole numbers beyond 64 bits too. */
static bool has_fraction(const struct tm_cell *c)
{
    struct tm_dec d;
    struct tm_dec whole;

    return !dec_from_cell(c, &d) || tm_dec_round(&d, 0, &whole) < 0 ||
           tm_dec_compare(&d, &whole) != 0;
}

static void add_decimal(struct decimals *d, const struct sight *s,
                        const struct tm_cell *c)
{
    struct tm_dec ignored;

    if (c->tag == TM_DEC || c->tag == TM_BIGDEC || c->tag == TM_NUMBER) {
        if (has_fraction(c)) {
            note(&d->fraction, s);
        }
    } else if (c->tag == TM_OBJECT && tokens_member(c, "scale")) {
        note(&d->base64, s);
    } else if (c->tag == TM_TEXT) {
        bool is_number = tm_dec_parse(c->p, c->len, &ignored) == 0;

        if (is_number && is_base64(c)) {
            note(&d->either, s);
        } else if (is_number) {
            note(&d->decimal, s);
        } else if (is_base64(c)) {
            note(&d->base64, s);
        }
    }
}

static const char *value_text(struct looking *k, const struct tm_cell *c)
{
    return c->tag == TM_TEXT
               ? arena_printf(k->arena, "'%.*s'",
                              (int)(c->len < SHOWN ? c->len : SHOWN), c->p)
           : c->tag == TM_OBJECT ? "an object with scale and value"
                                 : "a number";
}

static void find_unsaid_decimals(struct looking *k,
                                 const struct plan_projection *p,
                                 const struct plan_column *c,
                                 const struct decimals *d)
{
    const struct sight *s = d->base64    ? d->base64
                            : d->decimal ? d->decimal
                                         : d->either;
    const char *cure =
        d->base64
            ? "write decimals = 'precise' in kafka{}, since it looks like "
              "base64 of decimal.handling.mode=precise; or set "
              "decimal.handling.mode=string at the connector"
        : d->decimal
            ? "write decimals = 'string' in kafka{}"
            : "write decimals = 'string' or 'precise' in kafka{}, as the "
              "connector's decimal.handling.mode says";

    find_in_column(
        k, p, s,
        arena_printf(k->arena,
                     "%s.%s comes as %s without a schema, and kafka{} does not "
                     "say how decimals are written",
                     p->table, c->name,
                     value_text(k, tokens_member(s->row, c->name))),
        cure);
}

/* The pipeline says [said], and the values look like [is]. */
static void find_other_decimals(struct looking *k,
                                const struct plan_projection *p,
                                const struct plan_column *c,
                                const struct sight *s, const char *said,
                                const char *is)
{
    find_in_column(k, p, s,
                   arena_printf(k->arena,
                                "decimals = '%s', but %s.%s comes as %s", said,
                                p->table, c->name,
                                value_text(k, tokens_member(s->row, c->name))),
                   arena_printf(k->arena,
                                "write decimals = '%s' in kafka{}, or set "
                                "decimal.handling.mode=%s at the connector",
                                is, said));
}

static void find_doubles(struct looking *k, const struct plan_projection *p,
                         const struct plan_column *c, const struct sight *s)
{
    find_warning(k, s,
                 arena_printf(k->arena,
                              "%s.%s comes as a number with a fraction: if the "
                              "source's column is numeric, it went through a "
                              "double and may have lost digits",
                              p->table, c->name),
                 "set decimal.handling.mode=string at the connector and write "
                 "decimals = 'string' in kafka{}");
}

static void judge_decimals(struct looking *k, const struct plan_projection *p,
                           const struct plan_column *c)
{
    struct decimals d = {0};

    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];
        const struct tm_cell *v = sight_unsaid(s, c->name);

        if (v) {
            add_decimal(&d, s, v);
        }
    }
    switch (k->q->topic->decimals) {
    case DECIMALS_UNSAID:
        if (d.base64 || d.decimal || d.either) {
            find_unsaid_decimals(k, p, c, &d);
        }
        break;
    case DECIMALS_STRING:
        if (d.base64) {
            find_other_decimals(k, p, c, d.base64, "string", "precise");
        }
        break;
    case DECIMALS_PRECISE:
        if (d.decimal) {
            find_other_decimals(k, p, c, d.decimal, "precise", "string");
        }
        break;
    case DECIMALS_DOUBLE:
        if (d.base64 || d.decimal) {
            find_other_decimals(k, p, c, d.base64 ? d.base64 : d.decimal,
                                "double", d.base64 ? "precise" : "string");
        }
        return;
    }
    if (d.fraction) {
        find_doubles(k, p, c, d.fraction);
    }
}

/* ---- all of them ---- */

static void judge_projection(struct looking *k, const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_columns; i++) {
        const struct plan_column *c = &p->columns[i];

        if (p->kind == KIND_MIRROR && !c->is_key) {
            judge_name(k, p, c);
        }
        if (c->type.kind == TYPE_NUMERIC) {
            judge_decimals(k, p, c);
        }
    }
    judge_times(k, p);
}

void judge_columns(struct looking *k)
{
    bool is_debezium = k->q->topic->format == FORMAT_DEBEZIUM;

    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        (is_debezium ? judge_projection
                     : judge_handled_times)(k, k->q->projections[i]);
    }
}

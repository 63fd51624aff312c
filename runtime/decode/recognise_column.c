/*
 * Columns of change events: names, and what decimals and times without a
 * schema seem to be. Nothing is read by these guesses: they tell a person which
 * word to write. See recognise_part.h.
 */
#include <inttypes.h>
#include <string.h>

#include "decode/base64.h"
#include "decode/recognise_part.h"
#include "decode/time.h"

enum { SHOWN = 40 };

/* Rows that were not deleted: a deleted one has zeros where it has nothing. */
static bool is_full(const struct sight *s)
{
    const struct tm_cell *deleted;

    if (!is_row(s->shape) || !s->row || s->op == 'd') {
        return false;
    }
    deleted = tokens_member(s->row, "__deleted");
    return !deleted || deleted->tag != TM_TEXT || deleted->len != 4;
}

/* A handler may make something else of a field than the column of its name. */
static void find(struct looking *k, const struct plan_projection *p,
                 const struct sight *s, const char *what, const char *cure)
{
    if (p->kind == KIND_MIRROR) {
        find_problem(k, s, what, cure);
    } else {
        find_warning(k, s, what, cure);
    }
}

/* ---- names ---- */

static void judge_name(struct looking *k, const struct plan_projection *p,
                       const struct plan_column *c)
{
    struct names names = {0};
    const struct sight *shown = NULL;

    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!is_full(s)) {
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

static void add_decimal(struct decimals *d, const struct sight *s,
                        const struct tm_cell *c)
{
    struct tm_dec ignored;

    if (c->tag == TM_DEC || c->tag == TM_BIGDEC || c->tag == TM_NUMBER) {
        note(&d->fraction, s);
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

    find(k, p, s,
         arena_printf(
             k->arena,
             "%s.%s comes as %s without a schema, and kafka{} does not "
             "say how decimals are written",
             p->table, c->name, value_text(k, tokens_member(s->row, c->name))),
         cure);
}

/* The pipeline says [said], and the values look like [is]. */
static void find_other_decimals(struct looking *k,
                                const struct plan_projection *p,
                                const struct plan_column *c,
                                const struct sight *s, const char *said,
                                const char *is)
{
    find(k, p, s,
         arena_printf(k->arena, "decimals = '%s', but %s.%s comes as %s", said,
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
        const struct tm_cell *v = is_full(s) && !s->has_schema
                                      ? tokens_member(s->row, c->name)
                                      : NULL;

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

/* ---- times ---- */

static const struct unit {
    const char *word; /* of kafka{} */
    const char *mode; /* of time.precision.mode */
    int64_t of_second;
} units[] = {
    [TIMES_UNSAID] = {NULL, NULL, 1},
    [TIMES_MILLIS] = {"millis", "connect", 1000},
    [TIMES_MICROS] = {"micros", "microseconds", 1000000},
    [TIMES_NANOS] = {"nanos", "nanoseconds", 1000000000},
};

/* Most times of most tables lie in these years. */
static bool is_plausible(int64_t n, enum plan_times unit)
{
    int64_t second = n / units[unit].of_second;

    return second >= 631152000 && second < 4102444800; /* 1990 to 2100 */
}

static const char *date_of(struct looking *k, int64_t n, enum plan_times unit)
{
    char text[40];
    int64_t days = n / units[unit].of_second / 86400;

    if (days > TIME_MAX_DAY || days < TIME_MIN_DAY) {
        return "no date at all";
    }
    return arena_dup(k->arena, text, time_put_date(days, text));
}

/* What was seen of one column of a time. */
struct times {
    const struct sight *sight; /* NULL: no number */
    int64_t number;
    bool may_be[4];       /* by enum plan_times: all of the numbers may */
    enum plan_times only; /* the one that is left, or unsaid */
};

static void add_time(struct times *t, const struct sight *s, int64_t n)
{
    if (!t->sight) {
        t->sight = s;
        t->number = n;
    }
    for (int unit = TIMES_MILLIS; unit <= TIMES_NANOS; unit++) {
        t->may_be[unit] &= is_plausible(n, (enum plan_times)unit);
    }
}

static void look_at_times(const struct looking *k, const struct plan_column *c,
                          struct times *t)
{
    int n_left = 0;

    *t = (struct times){.may_be = {false, true, true, true}};
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];
        const struct tm_cell *v = is_full(s) && !s->has_schema
                                      ? tokens_member(s->row, c->name)
                                      : NULL;

        if (v && v->tag == TM_INT && v->i != 0) {
            add_time(t, s, v->i);
        }
    }
    for (int unit = TIMES_MILLIS; unit <= TIMES_NANOS; unit++) {
        if (t->may_be[unit]) {
            n_left++;
            t->only = (enum plan_times)unit;
        }
    }
    t->only = n_left == 1 ? t->only : TIMES_UNSAID;
}

static void find_unsaid_times(struct looking *k,
                              const struct plan_projection *p,
                              const struct plan_column *c,
                              const struct times *t, bool is_stamp)
{
    const char *cure =
        is_stamp && t->only
            ? arena_printf(k->arena,
                           "write times = '%s' in kafka{}: read so it is %s",
                           units[t->only].word, date_of(k, t->number, t->only))
            : "write times = 'millis', 'micros' or 'nanos' in kafka{}, as the "
              "connector's time.precision.mode says";

    find(k, p, t->sight,
         arena_printf(k->arena,
                      "%s.%s comes as %" PRId64
                      " without a schema, and kafka{} "
                      "does not say the unit of times",
                      p->table, c->name, t->number),
         cure);
}

static void find_other_times(struct looking *k, const struct plan_projection *p,
                             const struct plan_column *c, const struct times *t)
{
    enum plan_times said = k->q->topic->times;

    find(k, p, t->sight,
         arena_printf(k->arena,
                      "times = '%s', but %s.%s comes as %" PRId64
                      ", which is %s in that unit",
                      units[said].word, p->table, c->name, t->number,
                      date_of(k, t->number, said)),
         arena_printf(k->arena,
                      "write times = '%s' in kafka{} (%s), or set "
                      "time.precision.mode=%s at the connector",
                      units[t->only].word, date_of(k, t->number, t->only),
                      units[said].mode));
}

static void find_mixed_times(struct looking *k, const struct plan_projection *p,
                             const struct plan_column *a,
                             const struct plan_column *b, const struct times *t)
{
    find(k, p, t->sight,
         arena_printf(k->arena,
                      "%s.%s and %s.%s are in different units, as "
                      "time.precision.mode=adaptive writes them by their "
                      "digits",
                      p->table, a->name, p->table, b->name),
         "set time.precision.mode=microseconds at the connector and write "
         "times = 'micros' in kafka{}; or set "
         "value.converter.schemas.enable=true");
}

/* What was seen of the times of one projection. */
struct seen_times {
    const struct plan_column *first; /* whose unit must be known */
    struct times of_first;
    const struct plan_column *stamp; /* the first one whose unit shows */
    struct times of_stamp;
    const struct plan_column *other; /* one of another unit; NULL: none */
    struct times of_other;
};

static void see_times(struct looking *k, const struct plan_column *c,
                      struct seen_times *seen)
{
    bool is_stamp = c->type.kind != TYPE_TIME;
    struct times t;

    look_at_times(k, c, &t);
    if (!t.sight) {
        return;
    }
    if (!seen->first) {
        seen->first = c;
        seen->of_first = t;
    }
    if (!is_stamp || !t.only) {
        return;
    }
    if (!seen->stamp) {
        seen->stamp = c;
        seen->of_stamp = t;
    } else if (!seen->other && t.only != seen->of_stamp.only) {
        seen->other = c;
        seen->of_other = t;
    }
}

static void judge_times(struct looking *k, const struct plan_projection *p,
                        const struct seen_times *seen)
{
    enum plan_times said = k->q->topic->times;

    if (seen->other) {
        find_mixed_times(k, p, seen->stamp, seen->other, &seen->of_other);
    } else if (said == TIMES_UNSAID && seen->stamp) {
        find_unsaid_times(k, p, seen->stamp, &seen->of_stamp, true);
    } else if (said == TIMES_UNSAID && seen->first) {
        find_unsaid_times(k, p, seen->first, &seen->of_first, false);
    } else if (seen->stamp && seen->of_stamp.only != said) {
        find_other_times(k, p, seen->stamp, &seen->of_stamp);
    }
}

/* ---- all of them ---- */

static void judge_projection(struct looking *k, const struct plan_projection *p)
{
    struct seen_times seen = {0};

    for (uint32_t i = 0; i < p->n_columns; i++) {
        const struct plan_column *c = &p->columns[i];

        if (p->kind == KIND_MIRROR && !c->is_key) {
            judge_name(k, p, c);
        }
        switch (c->type.kind) {
        case TYPE_NUMERIC:
            judge_decimals(k, p, c);
            break;
        case TYPE_TIME:
        case TYPE_TIMESTAMP:
        case TYPE_TIMESTAMPTZ:
            see_times(k, c, &seen);
            break;
        default:
            break;
        }
    }
    judge_times(k, p, &seen);
}

void judge_columns(struct looking *k)
{
    if (k->q->topic->format != FORMAT_DEBEZIUM) {
        return;
    }
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        judge_projection(k, k->q->projections[i]);
    }
}

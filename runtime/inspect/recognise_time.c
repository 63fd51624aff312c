/*
 * The unit of times that come as numbers without a schema, guessed from their
 * size, to tell a person which word to write. See recognise_part.h.
 */
#include <inttypes.h>

#include "decode/value/time.h"
#include "inspect/recognise_part.h"

static const struct unit {
    const char *word; /* of kafka{} */
    const char *mode; /* of time.precision.mode */
    int64_t of_second;
} units[] = {
    [TIMES_UNSAID] = {NULL, NULL, 1},
    [TIMES_SECONDS] = {"seconds", "adaptive", 1},
    [TIMES_MILLIS] = {"millis", "connect", 1000},
    [TIMES_MICROS] = {"micros", "microseconds", 1000000},
    [TIMES_NANOS] = {"nanos", "nanoseconds", 1000000000},
    [TIMES_ADAPTIVE] = {"adaptive", "adaptive", 1},
    [TIMES_ADAPTIVE_TIME] = {"adaptive_time_microseconds",
                             "adaptive_time_microseconds", 1},
    [TIMES_ISO] = {"isostring", "isostring", 1},
};

/* The unit of a timestamp's numbers, when the pipeline says [said]. */
static enum plan_times unit_of(enum plan_times said,
                               const struct plan_column *c)
{
    if (said == TIMES_ADAPTIVE || said == TIMES_ADAPTIVE_TIME) {
        return c->type.precision <= 3 ? TIMES_MILLIS : TIMES_MICROS;
    }
    return said == TIMES_ISO ? TIMES_UNSAID : said;
}

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
    bool may_be[TIMES_NANOS +
                1];       /* by enum plan_times: all of the numbers may */
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

    *t = (struct times){.may_be = {[TIMES_MILLIS] = true,
                                   [TIMES_MICROS] = true,
                                   [TIMES_NANOS] = true}};
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];
        const struct tm_cell *v = sight_unsaid(s, c->name);

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

/* What was seen of the times of one projection. */
struct seen_times {
    const struct plan_column *first; /* that holds numbers */
    struct times of_first;
    const struct plan_column *stamp; /* the first one whose unit shows */
    struct times of_stamp;
    const struct plan_column *wrong; /* one whose unit is not the said one */
    struct times of_wrong;
    const struct plan_column *odd; /* one that 'adaptive' would not fit */
    bool is_mixed;
};

static void see_unit(struct looking *k, const struct plan_column *c,
                     const struct times *t, struct seen_times *seen)
{
    if (!seen->stamp) {
        seen->stamp = c;
        seen->of_stamp = *t;
    }
    seen->is_mixed |= t->only != seen->of_stamp.only;
    if (!seen->odd && t->only != unit_of(TIMES_ADAPTIVE, c)) {
        seen->odd = c;
    }
    if (!seen->wrong && t->only != unit_of(k->q->topic->times, c)) {
        seen->wrong = c;
        seen->of_wrong = *t;
    }
}

static void see_times(struct looking *k, const struct plan_column *c,
                      struct seen_times *seen)
{
    struct times t;

    look_at_times(k, c, &t);
    if (!t.sight) {
        return;
    }
    if (!seen->first) {
        seen->first = c;
        seen->of_first = t;
    }
    if (c->type.kind != TYPE_TIME && t.only) {
        see_unit(k, c, &t, seen);
    }
}

/* The word of kafka{} that fits what was seen. */
static const char *times_cure(struct looking *k, const struct seen_times *seen)
{
    const struct times *t = &seen->of_stamp;

    if (!seen->stamp) {
        return "write times = 'adaptive', or what else the connector's "
               "time.precision.mode says, in kafka{}";
    }
    if (!seen->odd) {
        return arena_printf(k->arena,
                            "write times = 'adaptive' in kafka{}, as the "
                            "connector does by default: read so, %s is %s",
                            seen->stamp->name, date_of(k, t->number, t->only));
    }
    if (seen->is_mixed) {
        return arena_printf(k->arena,
                            "columns are in different units, so write times = "
                            "'adaptive' in kafka{} and declare %s with the "
                            "digits of the source, as in timestamp(3)",
                            seen->odd->name);
    }
    return arena_printf(
        k->arena, "write times = '%s' in kafka{}: read so, %s is %s",
        units[t->only].word, seen->stamp->name, date_of(k, t->number, t->only));
}

static void find_unsaid_times(struct looking *k,
                              const struct plan_projection *p,
                              const struct seen_times *seen)
{
    const struct plan_column *c = seen->stamp ? seen->stamp : seen->first;
    const struct times *t = seen->stamp ? &seen->of_stamp : &seen->of_first;

    find_in_column(k, p, t->sight,
                   arena_printf(k->arena,
                                "%s.%s comes as %" PRId64
                                " without a schema, and kafka{} "
                                "does not say the unit of times",
                                p->table, c->name, t->number),
                   times_cure(k, seen));
}

static void find_other_times(struct looking *k, const struct plan_projection *p,
                             const struct seen_times *seen)
{
    enum plan_times said = k->q->topic->times;
    const struct plan_column *c = seen->wrong;
    const struct times *t = &seen->of_wrong;
    enum plan_times unit = unit_of(said, c);
    const char *which =
        unit ? arena_printf(k->arena, ", which is %s in that unit",
                            date_of(k, t->number, unit))
             : ", a number";

    find_in_column(
        k, p, t->sight,
        arena_printf(k->arena, "times = '%s', but %s.%s comes as %" PRId64 "%s",
                     units[said].word, p->table, c->name, t->number, which),
        said == TIMES_ADAPTIVE || said == TIMES_ADAPTIVE_TIME
            ? arena_printf(k->arena,
                           "declare %s with the digits of the source "
                           "(timestamp has 6, timestamp(3) has 3), or write "
                           "times = '%s' in kafka{}",
                           c->name, units[t->only].word)
            : arena_printf(k->arena,
                           "%s; or set time.precision.mode=%s at the "
                           "connector",
                           times_cure(k, seen), units[said].mode));
}

void judge_times(struct looking *k, const struct plan_projection *p)
{
    struct seen_times seen = {0};

    for (uint32_t i = 0; i < p->n_columns; i++) {
        switch (p->columns[i].type.kind) {
        case TYPE_TIME:
        case TYPE_TIMESTAMP:
        case TYPE_TIMESTAMPTZ:
            see_times(k, &p->columns[i], &seen);
            break;
        default:
            break;
        }
    }
    if (seen.first && k->q->topic->times == TIMES_UNSAID) {
        find_unsaid_times(k, p, &seen);
    } else if (seen.wrong) {
        find_other_times(k, p, &seen);
    }
}

/* ---- what no connector wrote ---- */

static void find_unsaid_unit(struct looking *k, const struct plan_projection *p,
                             const struct plan_column *c, const struct sight *s,
                             int64_t n)
{
    enum plan_times unit = TIMES_UNSAID;

    for (int i = TIMES_SECONDS; i <= TIMES_NANOS; i++) {
        unit = is_plausible(n, (enum plan_times)i) ? (enum plan_times)i : unit;
    }
    find_warning(
        k, s,
        arena_printf(k->arena,
                     "%s.%s: the field %s comes as %" PRId64
                     ", and kafka{} does not say its unit: a handler that "
                     "assigns it as it is halts the lane",
                     p->table, c->name, c->name, n),
        unit ? arena_printf(k->arena,
                            "write times = '%s' in kafka{}: read so, %s is "
                            "%s; or let the handler write %s(event.data.%s)",
                            units[unit].word, c->name, date_of(k, n, unit),
                            units[unit].word, c->name)
             : "write times = 'seconds', 'millis', 'micros' or 'nanos' in "
               "kafka{}, or let the handler write seconds(x) and the like");
}

static void judge_units(struct looking *k, const struct plan_projection *p,
                        const struct plan_column *c)
{
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];
        const struct tm_cell *v = s->value && !is_refused(s)
                                      ? tokens_member(s->value, c->name)
                                      : NULL;

        if (v && v->tag == TM_INT && v->i != 0 && !s->is_passed) {
            find_unsaid_unit(k, p, c, s, v->i);
            return;
        }
    }
}

static bool is_time(const struct plan_column *c)
{
    return c->type.kind >= TYPE_DATE && c->type.kind <= TYPE_TIMESTAMPTZ;
}

void judge_handled_times(struct looking *k, const struct plan_projection *p)
{
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (is_time(&p->columns[i]) && k->q->topic->times == TIMES_UNSAID) {
            judge_units(k, p, &p->columns[i]);
        }
    }
}

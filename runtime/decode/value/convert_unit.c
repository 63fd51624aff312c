/*
 * The unit of numbers into time types. See convert.h.
 *
 * A number tells no unit: 1700000000 is a moment of 2023 in seconds and one of
 * 1970 in milliseconds. It is never guessed. The cell knows it (a hint), or
 * kafka{} says it, or the lane halts, with words that show what the number
 * would be.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "decode/value/convert_part.h"
#include "decode/value/time.h"
#include "model/decimal.h"

enum { SECONDS, MILLIS = 3, MICROS = 6, NANOS = 9 };

/* So many readings tell a person which one is meant. */
enum { READINGS_SHOWN = 3, READING_BYTES = 48 };

static int digits_of(enum plan_times times)
{
    switch (times) {
    case TIMES_SECONDS:
        return SECONDS;
    case TIMES_MILLIS:
        return MILLIS;
    case TIMES_MICROS:
        return MICROS;
    case TIMES_NANOS:
        return NANOS;
    default:
        return -1;
    }
}

/* ---- words ---- */

/* [usec] as the column would show it; 0: it cannot hold it. */
static size_t put_reading(const struct conversion *c, int64_t usec, char *out)
{
    switch (c->t->kind) {
    case TYPE_TIME:
        return usec >= 0 && usec <= TIME_DAY_USEC ? time_put_clock(usec, out)
                                                  : 0;
    case TYPE_DATE:
        return convert_is_stamp(usec)
                   ? time_put_date(
                         usec / TIME_DAY_USEC - (usec % TIME_DAY_USEC < 0), out)
                   : 0;
    default:
        return convert_is_stamp(usec) ? time_put_stamp(usec, out) : 0;
    }
}

/* Words that grow behind each other. */
struct words {
    char text[4 * READING_BYTES];
    size_t len;
    int n; /* readings */
};

static void add_reading(struct words *w, const struct conversion *c,
                        int64_t usec, const char *unit)
{
    char text[READING_BYTES];
    size_t len = put_reading(c, usec, text);

    if (len > 0 && w->n < READINGS_SHOWN) {
        w->len += (size_t)snprintf(w->text + w->len, sizeof(w->text) - w->len,
                                   "%s%.*s as %s", w->n ? ", " : "", (int)len,
                                   text, unit);
        w->n++;
    }
}

/* "A as seconds, B as milliseconds": those that there are. */
static void put_readings(const struct conversion *c, const struct tm_cell *in,
                         struct words *w)
{
    static const struct {
        const char *name;
        int digits;
    } units[] = {{"seconds", SECONDS},
                 {"milliseconds", MILLIS},
                 {"microseconds", MICROS},
                 {"nanoseconds", NANOS}};
    int64_t usec;

    if (c->t->kind == TYPE_DATE && convert_usec(in, SECONDS, &usec) &&
        !__builtin_mul_overflow(usec, 86400, &usec)) {
        add_reading(w, c, usec, "days");
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (convert_usec(in, units[i].digits, &usec)) {
            add_reading(w, c, usec, units[i].name);
        }
    }
}

static const char *hint(const struct conversion *c)
{
    const struct convert_rules *r = c->rules;

    return r->is_literal ? "write a text of ISO 8601, or "
           : r->times != TIMES_UNSAID
               ? "what times says in kafka{} is how the connector writes "
                 "columns of times, and this is none; let a handler write "
           : convert_is_bare_debezium(c)
               ? "write times = 'adaptive' or what else the connector's "
                 "time.precision.mode says in kafka{}; for a number of a "
                 "handler's own "
               : "write times = 'seconds', 'millis', 'micros' or 'nanos' in "
                 "kafka{}, or in a handler ";
}

static bool unstated(const struct conversion *c, const struct tm_cell *in)
{
    struct words readings = {.len = 0};
    char words[400];

    put_readings(c, in, &readings);
    if (readings.n == 0) {
        return convert_fail(c, in, "%s",
                            c->t->kind == TYPE_TIME
                                ? "is outside a day"
                                : "is outside the years 0001 to 294246");
    }
    snprintf(words, sizeof(words),
             "(%s) has no stated unit: %s%sseconds(x), millis(x), micros(x) or "
             "nanos(x)",
             readings.text, hint(c),
             c->t->kind == TYPE_DATE ? "days(x), " : "");
    return convert_unstated(c, in, words);
}

/* ---- the unit ---- */

/* As the connector writes columns of this type without a schema. */
static bool mode_unit(const struct conversion *c, const struct tm_cell *in,
                      int *digits)
{
    enum plan_times times = c->rules->times;

    if (times == TIMES_ADAPTIVE_TIME ||
        (times == TIMES_ADAPTIVE && c->rules->is_mysql)) {
        times = c->t->kind == TYPE_TIME ? TIMES_MICROS : TIMES_ADAPTIVE;
    }
    if (times == TIMES_ISO) {
        return convert_unstated(c, in,
                                "is a number, though times = 'isostring': "
                                "check times in kafka{}; for a number of a "
                                "handler's own write seconds(x), millis(x), "
                                "micros(x) or nanos(x)");
    }
    *digits = times == TIMES_ADAPTIVE ? c->t->precision <= 3 ? MILLIS : MICROS
                                      : digits_of(times);
    return *digits >= 0 || unstated(c, in);
}

/* Beside the columns of which the connector's mode tells the unit: before that
 * could be said of them, such numbers were taken for milliseconds, so a mode
 * that says otherwise is not about them. */
static bool is_beside(const struct convert_rules *r)
{
    return (r->is_payload || (r->has_schema && r->format == FORMAT_DEBEZIUM)) &&
           r->times != TIMES_SECONDS && r->times != TIMES_MILLIS;
}

bool convert_unit(const struct conversion *c, const struct tm_cell *in,
                  int *digits)
{
    struct tm_dec d;

    switch (in->hint) {
    case TM_HINT_MILLIS:
        *digits = MILLIS;
        return true;
    case TM_HINT_MICROS:
        *digits = MICROS;
        return true;
    case TM_HINT_NANOS:
        *digits = NANOS;
        return true;
    default:
        break;
    }
    if (convert_is_bare_debezium(c)) {
        return mode_unit(c, in, digits);
    }
    *digits = is_beside(c->rules) ? -1 : digits_of(c->rules->times);
    if (*digits < 0 && dec_from_cell(in, &d) && dec_get(&d) == 0) {
        *digits = SECONDS; /* it is the same in every unit */
    }
    return *digits >= 0 || unstated(c, in);
}

/* Into date, time, timestamp and timestamptz. See convert.h.
 *
 * A number is in the unit that the source's schema or kafka{} states (see
 * convert_unit.c); the way to microseconds is exact, and what is finer is
 * rounded half away from zero. A date from Debezium is a count of days. */
#include <string.h>

#include "decode/value/convert_part.h"
#include "decode/value/time.h"
#include "model/decimal.h"

/* PostgreSQL rounds timestamps away from its own epoch, 2000-01-01: the half
 * way cases before it go down. */
#define POSTGRES_EPOCH_USEC ((int64_t)10957 * TIME_DAY_USEC)
#define MIN_STAMP_USEC      ((int64_t)TIME_MIN_DAY * TIME_DAY_USEC)
#define MAX_STAMP_USEC      ((int64_t)(TIME_MAX_DAY + 1) * TIME_DAY_USEC - 1)

/* The same with time.precision.mode=isostring. Dates have other numbers in the
 * stream, where they have left their range, than in a snapshot. */
static int iso_infinity_of(const struct conversion *c, const struct tm_cell *in)
{
    static const char *const dates[] = {"-5877611-06-21Z", "-5877611-06-22Z",
                                        "+292278994-08-16Z",
                                        "+292269055-12-02Z"};
    static const char *const stamps[] = {"+294247-01-10T04:00:25.2Z",
                                         "-290308-12-21T19:59:27.6Z"};
    const char *const *list = c->t->kind == TYPE_DATE ? dates : stamps;

    for (int i = 0; i < (list == dates ? 4 : 2); i++) {
        if (in->len == strlen(list[i]) &&
            memcmp(in->p, list[i], in->len) == 0) {
            return i % 2 == 0 ? 1 : -1;
        }
    }
    return 0;
}

/* What Debezium writes for infinite dates in days, and for infinite timestamps
 * in micro-, milli- and nanoseconds: 1 or -1; 0: it is another number. */
static int infinity_of(const struct conversion *c, const struct tm_cell *in)
{
    if (c->rules->format != FORMAT_DEBEZIUM) {
        return 0;
    }
    if (in->tag == TM_TEXT) {
        return iso_infinity_of(c, in);
    }
    if (in->tag != TM_INT && in->tag != TM_DEC) {
        return 0;
    }
    if (c->t->kind == TYPE_DATE) {
        return (in->i == -2147472692 || in->i == -622191234) -
               (in->i == -2147472691 || in->i == -625821272);
    }
    switch (in->i) {
    case 9223372036825200000LL:
    case 9223372036825200LL:
    case INT64_MAX:
        return 1;
    case -9223372036832400000LL:
    case -9223372036832400LL:
    case INT64_MIN:
        return -1;
    default:
        return 0;
    }
}

static bool put_infinity(int sign, uint8_t tag, struct tm_cell *out)
{
    *out = (struct tm_cell){.i = sign > 0 ? TYPE_INFINITY : TYPE_MINUS_INFINITY,
                            .tag = tag};
    return true;
}

static bool out_of_range(const struct conversion *c, const struct tm_cell *in)
{
    return convert_fail(c, in, "is outside the years 0001 to 294246");
}

bool convert_is_stamp(int64_t usec)
{
    return usec >= MIN_STAMP_USEC && usec <= MAX_STAMP_USEC;
}

bool convert_usec(const struct tm_cell *number, int digits, int64_t *usec)
{
    static const int64_t usec_of[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    struct tm_dec d;

    if (number->tag == TM_INT && digits <= 6) {
        return !__builtin_mul_overflow(number->i, usec_of[digits], usec);
    }
    if (!dec_from_cell(number, &d) ||
        dec_make(dec_get(&d), d.scale + digits - 6, &d) < 0 ||
        tm_dec_round(&d, 0, &d) < 0 || dec_get(&d) != (int64_t)dec_get(&d)) {
        return false;
    }
    *usec = (int64_t)dec_get(&d);
    return true;
}

/* A number as microseconds. */
static bool read_number(const struct conversion *c, const struct tm_cell *in,
                        int64_t *usec)
{
    int digits;

    return convert_unit(c, in, &digits) &&
           (convert_usec(in, digits, usec) || out_of_range(c, in));
}

/* To the column's digits of a second, half away from zero. */
static int64_t round_usec(const struct coltype *t, int64_t usec)
{
    int64_t unit = 1;
    int64_t rest;

    for (int i = t->precision; i < 6; i++) {
        unit *= 10;
    }
    rest = usec % unit;
    if (rest < 0) {
        return usec - rest - (-rest * 2 >= unit ? unit : 0);
    }
    return usec - rest + (rest * 2 >= unit && rest ? unit : 0);
}

static int64_t floor_days(int64_t usec)
{
    return usec / TIME_DAY_USEC - (usec % TIME_DAY_USEC < 0);
}

static bool read_days(const struct conversion *c, const struct tm_cell *in,
                      struct time_parts *out)
{
    int64_t usec;

    if (c->rules->format != FORMAT_DEBEZIUM || in->hint) {
        if (!read_number(c, in, &usec)) {
            return false;
        }
        out->days = floor_days(usec);
        return true;
    }
    out->infinity = infinity_of(c, in);
    if (in->tag != TM_INT) {
        return convert_fail(c, in,
                            "is not a whole number of days since "
                            "1970-01-01, as Debezium writes dates");
    }
    out->days = in->i;
    return true;
}

bool convert_date(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out)
{
    struct time_parts parts = {0};
    const char *wrong;

    if (in->tag == TM_TEXT) {
        int infinity = infinity_of(c, in);

        wrong = infinity ? NULL : time_read_date(in->p, in->len, &parts);
        if (wrong) {
            return convert_fail(c, in, "%s", wrong);
        }
        parts.infinity = infinity ? infinity : parts.infinity;
    } else if (!convert_is_number(in)) {
        return convert_is_not(c, in);
    } else if (!read_days(c, in, &parts)) {
        return false;
    }
    if (parts.infinity != 0) {
        return put_infinity(parts.infinity, TM_DATE, out);
    }
    if (parts.days < TIME_MIN_DAY || parts.days > TIME_MAX_DAY) {
        return out_of_range(c, in);
    }
    *out = (struct tm_cell){.i = parts.days, .tag = TM_DATE};
    return true;
}

/* PostgreSQL would drop the offset without a word, and with it hours. */
static bool is_zoned(const struct conversion *c, const struct tm_cell *in,
                     const struct time_parts *parts)
{
    if (parts->zone != TIME_OFFSET) {
        return false;
    }
    convert_fail(c, in,
                 "has an offset, which a %s column cannot hold: "
                 "%ssend UTC",
                 c->t->kind == TYPE_TIME ? "time" : "timestamp",
                 c->t->kind == TYPE_TIME ? "" : "use timestamptz, or ");
    return true;
}

/* A flattened row does not tell which connector wrote it. */
static const char *beyond_hint(const struct conversion *c,
                               const struct tm_cell *in)
{
    return in->tag != TM_TEXT && in->hint == 0 && convert_is_bare_debezium(c) &&
                   c->rules->times == TIMES_ADAPTIVE && c->t->precision <= 3
               ? " as milliseconds: MySQL's connector writes microseconds, "
                 "which is times = 'adaptive_time_microseconds'"
               : "";
}

bool convert_time(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out)
{
    struct time_parts parts = {0};
    const char *wrong;

    if (in->tag == TM_TEXT) {
        wrong = time_read_clock(in->p, in->len, &parts);
        if (wrong) {
            return convert_fail(c, in, "%s", wrong);
        }
        if (is_zoned(c, in, &parts)) {
            return false;
        }
    } else if (!convert_is_number(in)) {
        return convert_is_not(c, in);
    } else if (!read_number(c, in, &parts.usec)) {
        return false;
    }
    if (parts.usec < 0 || parts.usec > TIME_DAY_USEC) {
        return convert_fail(c, in, "is outside a day%s", beyond_hint(c, in));
    }
    *out = (struct tm_cell){.i = round_usec(c->t, parts.usec), .tag = TM_TIME};
    return true;
}

static bool read_stamp_text(const struct conversion *c,
                            const struct tm_cell *in, int64_t *usec,
                            int *infinity)
{
    struct time_parts parts;
    const char *wrong = time_read_stamp(in->p, in->len, &parts);

    if (wrong) {
        return convert_fail(c, in, "%s", wrong);
    }
    if (c->t->kind == TYPE_TIMESTAMP && is_zoned(c, in, &parts)) {
        return false;
    }
    *infinity = parts.infinity;
    *usec = parts.days * TIME_DAY_USEC + parts.usec -
            (int64_t)parts.offset_sec * 1000000;
    return true;
}

bool convert_stamp(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out)
{
    int64_t usec = 0;
    int infinity = infinity_of(c, in);

    if (in->tag == TM_TEXT) {
        if (infinity == 0 && !read_stamp_text(c, in, &usec, &infinity)) {
            return false;
        }
    } else if (!convert_is_number(in)) {
        return convert_is_not(c, in);
    } else if (infinity == 0 && !read_number(c, in, &usec)) {
        return false;
    }
    if (infinity != 0) {
        return put_infinity(infinity, TM_STAMP, out);
    }
    if (!convert_is_stamp(usec)) {
        return out_of_range(c, in);
    }
    if (c->t->precision < 6) {
        usec =
            round_usec(c->t, usec - POSTGRES_EPOCH_USEC) + POSTGRES_EPOCH_USEC;
    }
    *out = (struct tm_cell){.i = usec, .tag = TM_STAMP};
    return true;
}

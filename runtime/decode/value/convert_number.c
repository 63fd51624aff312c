/* Into numeric, real and double precision. See convert.h.
 *
 * Numeric never passes through a double: a value is exact, or rounded to the
 * column's scale half away from zero as PostgreSQL rounds, or refused. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/json/base64.h"
#include "decode/json/number.h"
#include "decode/value/convert_part.h"
#include "model/decimal.h"

/* Unscaled integers of 38 digits have up to 16 bytes: 24 characters. */
enum { UNSCALED_BYTES = 16, UNSCALED_BASE64 = 24 };

/* 1.50 and 1.5 are one key: the shorter one stands for both, so that rows do not
 * depend on which came first. */
static void drop_zeros(struct tm_dec *d)
{
    dec_mantissa m = dec_get(d);
    int scale = d->scale;

    while (scale > 0 && m % 10 == 0) {
        m /= 10;
        scale--;
    }
    dec_set(d, m, scale);
}

/* Rounds to the column's scale and checks its precision. */
static bool fit(const struct conversion *c, const struct tm_cell *in,
                const struct tm_dec *d, struct tm_cell *out)
{
    struct tm_dec rounded = *d;

    if (c->t->precision > 0 && (tm_dec_round(d, c->t->scale, &rounded) < 0 ||
                                !dec_fits(&rounded, c->t->precision))) {
        return convert_fail(c, in,
                            "does not fit numeric(%d,%d): %d digits in "
                            "front of the point at most",
                            c->t->precision, c->t->scale,
                            c->t->precision - c->t->scale);
    }
    if (c->t->is_identity) {
        drop_zeros(&rounded);
    }
    dec_to_cell(&rounded, c->a, out);
    return true;
}

static bool too_long(const struct conversion *c, const struct tm_cell *in)
{
    return convert_fail(c, in,
                        "has more than the 38 digits that Tidemill "
                        "holds exactly");
}

/* 'NaN' and the infinities, which JSON has no numbers for; those in capitals
 * are what Debezium makes of a numeric's with decimal.handling.mode=string. */
static bool read_word(const struct tm_cell *in, double *out)
{
    static const struct {
        const char *text, *number;
    } words[] = {{"NaN", "nan"},
                 {"NAN", "nan"},
                 {"Infinity", "inf"},
                 {"-Infinity", "-inf"},
                 {"POSITIVE_INFINITY", "inf"},
                 {"NEGATIVE_INFINITY", "-inf"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (in->len == strlen(words[i].text) &&
            memcmp(in->p, words[i].text, in->len) == 0) {
            *out = strtod(words[i].number, NULL);
            return true;
        }
    }
    return false;
}

bool convert_no_number(const struct conversion *c, const struct tm_cell *in)
{
    return convert_fail(c, in,
                        "is no exact number: numeric columns take neither NaN "
                        "nor Infinity, double precision does");
}

static bool read_text(const struct conversion *c, const struct tm_cell *in,
                      struct tm_cell *out)
{
    struct tm_cell number;
    struct tm_dec d;

    if (tm_dec_parse(in->p, in->len, &d) == 0) {
        return fit(c, in, &d, out);
    }
    if (number_read(in->p, in->len, c->a, &number)) {
        return too_long(c, in);
    }
    return convert_is_not(c, in);
}

/* Big-endian two's complement in base64, at [scale]. */
static bool read_unscaled(const char *p, size_t len, int scale,
                          struct tm_dec *out)
{
    char bytes[UNSCALED_BASE64 / 4 * 3];
    int64_t n = len <= UNSCALED_BASE64 ? base64_decode(p, len, bytes) : -1;
    unsigned __int128 m;

    if (n < 1 || n > UNSCALED_BYTES) {
        return false;
    }
    m = bytes[0] & 0x80 ? ~(unsigned __int128)0 : 0;
    for (int64_t i = 0; i < n; i++) {
        m = m << 8 | (unsigned char)bytes[i];
    }
    return dec_make((dec_mantissa)m, scale, out) == 0;
}

static bool read_precise(const struct conversion *c, const struct tm_cell *in,
                         struct tm_cell *out)
{
    struct tm_dec d;

    if (c->t->precision == 0) {
        return convert_fail(
            c, in,
            "is an integer without its scale (decimals = 'precise'): "
            "declare the column as numeric(p,s) like the source's");
    }
    if (!read_unscaled(in->p, in->len, c->t->scale, &d)) {
        return convert_fail(c, in,
                            "is not a decimal of Debezium's precise "
                            "mode (base64 of up to 38 digits): check "
                            "decimals in kafka{}");
    }
    return fit(c, in, &d, out);
}

/* Text of a Debezium record without schema: what it means must be stated. */
static bool read_stated(const struct conversion *c, const struct tm_cell *in,
                        struct tm_cell *out)
{
    switch (c->rules->decimals) {
    case DECIMALS_STRING:
        return read_text(c, in, out);
    case DECIMALS_PRECISE:
        return read_precise(c, in, out);
    case DECIMALS_DOUBLE:
        return convert_fail(c, in,
                            "is no number, though decimals = 'double': "
                            "check decimals in kafka{}");
    case DECIMALS_UNSAID:
        break;
    }
    return convert_unstated(c, in,
                            "could be a decimal or base64: state decimals = "
                            "'string', 'precise' or 'double' in kafka{}, as "
                            "the connector's decimal.handling.mode says");
}

/* A member of {"scale":2,"value":"BNI="} as raw JSON, without quotes. */
static bool find_member(const struct tm_cell *in, const char *name,
                        const char **p, size_t *len)
{
    const char *end = in->p + in->len;
    const char *at = memmem(in->p, in->len, name, strlen(name));

    if (!at) {
        return false;
    }
    at += strlen(name);
    while (at < end && strchr(" \t\r\n:", *at)) {
        at++;
    }
    at += at < end && *at == '"';
    *p = at;
    while (at < end && !strchr("\", }\t\r\n", *at)) {
        at++;
    }
    *len = (size_t)(at - *p);
    return at < end;
}

enum variable convert_variable(const struct conversion *c,
                               const struct tm_cell *in, struct tm_dec *out)
{
    const char *scale_text;
    const char *value;
    size_t scale_len;
    size_t value_len;
    int64_t scale;

    if (in->tag != TM_OBJECT || !convert_is_bare_debezium(c) ||
        c->rules->decimals != DECIMALS_PRECISE ||
        !find_member(in, "\"scale\"", &scale_text, &scale_len) ||
        !find_member(in, "\"value\"", &value, &value_len) ||
        !number_read_int(scale_text, scale_len, &scale) || scale > INT16_MAX ||
        scale < INT16_MIN) {
        return VARIABLE_NONE;
    }
    return read_unscaled(value, value_len, (int)scale, out) ? VARIABLE_READ
                                                            : VARIABLE_TOO_LONG;
}

static bool put_variable(const struct conversion *c, const struct tm_cell *in,
                         struct tm_cell *out)
{
    struct tm_dec d;

    switch (convert_variable(c, in, &d)) {
    case VARIABLE_READ:
        return fit(c, in, &d, out);
    case VARIABLE_TOO_LONG:
        return too_long(c, in);
    case VARIABLE_NONE:
        break;
    }
    return convert_is_not(c, in);
}

/* A decimal that already looks as the column will store it. */
static inline bool is_final(const struct coltype *t, const struct tm_cell *in)
{
    uint64_t magnitude = in->i < 0 ? -(uint64_t)in->i : (uint64_t)in->i;

    if (t->precision == 0) {
        return true;
    }
    return in->scale == t->scale &&
           magnitude <
               (uint64_t)dec_power(t->precision < 19 ? t->precision : 19);
}

bool convert_numeric(const struct conversion *c, const struct tm_cell *in,
                     struct tm_cell *out)
{
    struct tm_dec d;
    double word;

    if (in->tag == TM_DEC && !c->t->is_identity && is_final(c->t, in)) {
        *out = *in;
        return true;
    }
    if (dec_from_cell(in, &d)) {
        return fit(c, in, &d, out);
    }
    switch (in->tag) {
    case TM_TEXT:
        if (read_word(in, &word)) {
            return convert_no_number(c, in);
        }
        return convert_is_bare_debezium(c) ? read_stated(c, in, out)
                                           : read_text(c, in, out);
    case TM_NUMBER:
        return too_long(c, in);
    case TM_OBJECT:
        return put_variable(c, in, out);
    default:
        break;
    }
    return convert_is_not(c, in);
}

/* ---- real, double precision ---- */

/* Text in [p], which ends with a NUL, as the nearest value of the type. */
static double nearest(const struct conversion *c, const char *p)
{
    return c->t->kind == TYPE_REAL ? (double)strtof(p, NULL) : strtod(p, NULL);
}

static bool is_zero(const char *p)
{
    return strcspn(p, "123456789eE") == strcspn(p, "eE");
}

static bool read_digits(const struct conversion *c, const struct tm_cell *in,
                        const char *digits, struct tm_cell *out)
{
    double d = nearest(c, digits);

    if (isinf(d) || (d == 0 && !is_zero(digits))) {
        return convert_fail(c, in, "is out of range for %s",
                            c->t->kind == TYPE_REAL ? "real"
                                                    : "double precision");
    }
    *out = (struct tm_cell){.d = d, .tag = TM_DOUBLE};
    return true;
}

/* A Lua number: real keeps what fits a float. */
static bool narrow(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out)
{
    float f = (float)in->d;

    if (isfinite(in->d) && (isinf(f) || (f == 0 && in->d != 0))) {
        return convert_fail(c, in, "is out of range for real");
    }
    *out = (struct tm_cell){.d = (double)f, .tag = TM_DOUBLE};
    return true;
}

bool convert_float(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out)
{
    char digits[64];
    struct tm_cell number = *in;
    double d;

    if (in->tag == TM_DOUBLE) {
        return narrow(c, in, out);
    }
    if (in->tag == TM_TEXT) {
        if (read_word(in, &d)) {
            *out = (struct tm_cell){.d = d, .tag = TM_DOUBLE};
            return true;
        }
        if (!number_read(in->p, in->len, c->a, &number)) {
            return convert_is_not(c, in);
        }
    }
    if (number.tag == TM_NUMBER) {
        return read_digits(c, in, arena_dup(c->a, number.p, number.len), out);
    }
    if (!convert_is_number(&number)) {
        return convert_is_not(c, in);
    }
    convert_digits(&number, digits, sizeof(digits));
    return read_digits(c, in, digits, out);
}

/* See convert.h. One table from the kind of type to its conversion; numbers
 * with fractions, times and documents have files of their own. What comes
 * most often (whole numbers, text) is done here without a copy. */
#include "decode/value/convert.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/json/number.h"
#include "decode/json/unavailable.h"
#include "decode/value/convert_part.h"
#include "decode/value/time.h"
#include "model/decimal.h"

static inline bool is_text(const struct tm_cell *c, const char *s, size_t len)
{
    return c->len == len && memcmp(c->p, s, len) == 0;
}
#define IS(cell, literal) is_text(cell, literal, sizeof(literal) - 1)

/* ---- messages ---- */

size_t convert_digits(const struct tm_cell *in, char *out, size_t cap)
{
    char text[64] = "";
    struct tm_dec d;
    int ignored;

    if (in->tag == TM_NUMBER) {
        return (size_t)snprintf(out, cap, "%.*s", (int)in->len, in->p);
    }
    if (in->tag == TM_DOUBLE) {
        dec_shortest(in->d, text, &ignored);
    } else if (dec_from_cell(in, &d)) {
        tm_dec_format(&d, text);
    }
    return (size_t)snprintf(out, cap, "%s", text);
}

/* Values in messages are cut here, between two characters. */
enum { SHOWN_BYTES = 60 };

static int shown_bytes(const struct tm_cell *in)
{
    uint32_t n = in->len < SHOWN_BYTES ? in->len : SHOWN_BYTES;

    while (n > 0 && n < in->len && ((unsigned char)in->p[n] & 0xC0) == 0x80) {
        n--;
    }
    return (int)n;
}

static void describe(const struct tm_cell *in, char *out, size_t cap)
{
    char digits[SHOWN_BYTES + 8];

    switch (in->tag) {
    case TM_TEXT:
        snprintf(out, cap, "text '%.*s%s'", shown_bytes(in), in->p,
                 in->len > SHOWN_BYTES ? "..." : "");
        return;
    case TM_BOOL:
        snprintf(out, cap, "%s", in->i ? "true" : "false");
        return;
    case TM_OBJECT:
    case TM_ARRAY:
        snprintf(out, cap, "an %s", in->tag == TM_ARRAY ? "array" : "object");
        return;
    case TM_INT:
    case TM_DEC:
    case TM_BIGDEC:
    case TM_NUMBER:
    case TM_DOUBLE:
        convert_digits(in, digits, sizeof(digits));
        if (in->tag == TM_DOUBLE && isnan(in->d)) {
            snprintf(digits, sizeof(digits), "NaN"); /* which has no sign */
        }
        snprintf(out, cap, "number %s", digits);
        return;
    case TM_STAMP:
        digits[tm_time_format(in->i, digits)] = '\0';
        snprintf(out, cap, "the time %s", digits);
        return;
    default:
        snprintf(out, cap, "a value of another type");
    }
}

bool convert_fail(const struct conversion *c, const struct tm_cell *in,
                  const char *format, ...)
{
    char what[160];
    char wrong[400];
    va_list args;

    describe(in, what, sizeof(what));
    va_start(args, format);
    vsnprintf(wrong, sizeof(wrong), format, args);
    va_end(args);
    return err_set(c->e, ERR_DATA, "%s %s", what, wrong);
}

bool convert_unstated(const struct conversion *c, const struct tm_cell *in,
                      const char *what)
{
    convert_fail(c, in, "%s", what);
    c->e->class = ERR_CONFIG;
    return false;
}

bool convert_is_not(const struct conversion *c, const struct tm_cell *in)
{
    struct buf name = {0};

    type_print(c->t, &name);
    convert_fail(c, in, "is not %s %s%s",
                 buf_text(&name)[0] == 'i' ? "an" : "a", buf_text(&name),
                 in->tag == TM_DOUBLE && !isfinite(in->d)
                     ? ": a division by zero gives it; look first whether the "
                       "divisor is 0"
                     : "");
    buf_close(&name);
    return false;
}

/* ---- whole numbers, booleans ---- */

/* The value without its fraction, which must be zero. */
static bool whole_of(const struct conversion *c, const struct tm_cell *in,
                     int64_t *out)
{
    struct tm_dec d;
    struct tm_dec whole;

    if ((!dec_from_cell(in, &d) &&
         convert_variable(c, in, &d) != VARIABLE_READ) ||
        tm_dec_round(&d, 0, &whole) < 0 || tm_dec_compare(&d, &whole) != 0 ||
        dec_get(&whole) != (int64_t)dec_get(&whole)) {
        return false;
    }
    *out = (int64_t)dec_get(&whole);
    return true;
}

/* 1: it is whole, however many digits it has; 0: it is not; -1: who knows. */
static int is_whole(const struct tm_cell *in)
{
    struct tm_dec d;
    struct tm_dec whole;

    if (in->tag == TM_DOUBLE) {
        return in->d == trunc(in->d);
    }
    if (dec_from_cell(in, &d) && tm_dec_round(&d, 0, &whole) == 0) {
        return tm_dec_compare(&d, &whole) == 0;
    }
    return in->tag == TM_NUMBER && !memchr(in->p, '.', in->len) &&
                   !memchr(in->p, 'e', in->len) && !memchr(in->p, 'E', in->len)
               ? 1
               : -1;
}

static bool not_whole(const struct conversion *c, const struct tm_cell *in,
                      int64_t least, int64_t most)
{
    int is = is_whole(in);

    if (is == 0) {
        return convert_fail(c, in,
                            "has a fraction: the column holds whole numbers");
    }
    return convert_fail(c, in, "%sis out of range: %lld to %lld",
                        is < 0 ? "has a fraction or " : "", (long long)least,
                        (long long)most);
}

static bool convert_integer(const struct conversion *c,
                            const struct tm_cell *in, struct tm_cell *out)
{
    static const struct {
        int64_t least, most;
    } ranges[] = {
        [TYPE_SMALLINT] = {INT16_MIN, INT16_MAX},
        [TYPE_INTEGER] = {INT32_MIN, INT32_MAX},
        [TYPE_BIGINT] = {INT64_MIN, INT64_MAX},
    };
    int64_t v;

    if (in->tag == TM_INT) {
        v = in->i;
    } else if (in->tag == TM_TEXT) {
        if (!number_read_int(in->p, in->len, &v)) {
            return convert_is_not(c, in);
        }
    } else if (!convert_is_number(in) && in->tag != TM_OBJECT) {
        return convert_is_not(c, in);
    } else if (!whole_of(c, in, &v)) {
        if (in->tag == TM_OBJECT) {
            return convert_is_not(c, in);
        }
        return not_whole(c, in, ranges[c->t->kind].least,
                         ranges[c->t->kind].most);
    }
    if (v < ranges[c->t->kind].least || v > ranges[c->t->kind].most) {
        return convert_fail(c, in, "is out of range: %lld to %lld",
                            (long long)ranges[c->t->kind].least,
                            (long long)ranges[c->t->kind].most);
    }
    *out = (struct tm_cell){.i = v, .tag = TM_INT};
    return true;
}

/* 0 and 1 are the booleans of MySQL, whose tinyint(1) holds other numbers too. */
static bool convert_boolean(const struct conversion *c,
                            const struct tm_cell *in, struct tm_cell *out)
{
    bool is_true = in->tag == TM_BOOL || in->tag == TM_INT
                       ? in->i != 0
                       : in->tag == TM_TEXT && IS(in, "true");

    if (in->tag == TM_INT && in->i != 0 && in->i != 1) {
        return convert_fail(c, in,
                            "is not a boolean: of numbers only 0 and 1 are; "
                            "declare the column as smallint, or let a handler "
                            "say which numbers are true");
    }
    if (!is_true && in->tag != TM_BOOL && in->tag != TM_INT &&
        !(in->tag == TM_TEXT && IS(in, "false"))) {
        return convert_is_not(c, in);
    }
    *out = (struct tm_cell){.i = is_true, .tag = TM_BOOL};
    return true;
}

/* ---- text ---- */

static bool fits_length(const struct conversion *c, const struct tm_cell *in)
{
    uint32_t n = 0;

    if (c->t->length == 0 || in->len <= (uint32_t)c->t->length) {
        return true;
    }
    for (uint32_t i = 0; i < in->len; i++) {
        n += ((unsigned char)in->p[i] & 0xC0) != 0x80;
    }
    return n <= (uint32_t)c->t->length ||
           convert_fail(c, in, "has %u characters: %s(%d) holds %d", n,
                        c->t->kind == TYPE_CHAR ? "char" : "varchar",
                        c->t->length, c->t->length);
}

static bool convert_string(const struct conversion *c, const struct tm_cell *in,
                           struct tm_cell *out)
{
    if (in->tag != TM_TEXT) {
        return convert_is_not(c, in);
    }
    if (in->len > 0 && memchr(in->p, '\0', in->len)) {
        return convert_fail(c, in,
                            "holds \\u0000, which PostgreSQL cannot "
                            "store in text");
    }
    *out = *in;
    return fits_length(c, in);
}

/* Blanks at the end of a char(n) do not count, so it is held without them. */
static bool convert_char(const struct conversion *c, const struct tm_cell *in,
                         struct tm_cell *out)
{
    struct tm_cell cut = *in;

    while (cut.tag == TM_TEXT && cut.len > 0 && cut.p[cut.len - 1] == ' ') {
        cut.len--;
    }
    return convert_string(c, &cut, out);
}

/* ---- the table ---- */

static const struct {
    convert_fn fn;
    uint8_t own; /* cells of this tag are in their final form; 0: none */
} kinds[TYPE_KINDS] = {
    [TYPE_SMALLINT] = {convert_integer, 0},
    [TYPE_INTEGER] = {convert_integer, 0},
    [TYPE_BIGINT] = {convert_integer, TM_INT},
    [TYPE_NUMERIC] = {convert_numeric, 0},
    [TYPE_REAL] = {convert_float, 0},
    [TYPE_DOUBLE] = {convert_float, TM_DOUBLE},
    [TYPE_BOOLEAN] = {convert_boolean, TM_BOOL},
    [TYPE_TEXT] = {convert_string, 0},
    [TYPE_VARCHAR] = {convert_string, 0},
    [TYPE_CHAR] = {convert_char, 0},
    [TYPE_UUID] = {convert_uuid, TM_UUID},
    [TYPE_BYTEA] = {convert_bytea, TM_BYTES},
    [TYPE_DATE] = {convert_date, TM_DATE},
    [TYPE_TIME] = {convert_time, TM_TIME},
    [TYPE_TIMESTAMP] = {convert_stamp, TM_STAMP},
    [TYPE_TIMESTAMPTZ] = {convert_stamp, TM_STAMP},
    [TYPE_JSON] = {convert_json, TM_JSON},
    [TYPE_JSONB] = {convert_json, TM_JSON},
    [TYPE_TEXT_ARRAY] = {convert_array, TM_LITERAL},
    [TYPE_BIGINT_ARRAY] = {convert_array, TM_LITERAL},
};

/* Those that a Lua number enters as it is. */
static bool takes_doubles(const struct coltype *t)
{
    return t->kind == TYPE_REAL || t->kind == TYPE_DOUBLE ||
           t->kind == TYPE_JSON || t->kind == TYPE_JSONB;
}

/* Lua computes with doubles, and with texts as if they were some: what is not
 * the number that was meant must not get into a column that is exact. */
static bool refuse_rounded(const struct conversion *c, const struct tm_cell *in)
{
    if (in->d >= 9007199254740992.0 || in->d <= -9007199254740992.0) {
        return convert_fail(c, in,
                            "is beyond 2^53, where Lua numbers are no longer "
                            "exact: compute with decimals, as in "
                            "decimal(event.data.amount) * 3");
    }
    return convert_fail(c, in,
                        "is a double that Lua's arithmetic has rounded: "
                        "compute with decimals, as in "
                        "decimal(event.data.amount) * 3, or say the digits "
                        "with round(x, 2)");
}

/* A Lua number as what JSON would have given for its shortest text. */
static bool from_lua(const struct conversion *c, const struct tm_cell *in,
                     struct tm_cell *out)
{
    bool is_exact = c->t->kind <= TYPE_NUMERIC;
    struct tm_dec d;
    int result = tm_dec_from_double(in->d, &d);

    if (c->t->kind == TYPE_NUMERIC && !isfinite(in->d)) {
        return convert_no_number(c, in);
    }
    /* 1999 * 0.01 is 19.990000000000002, and 19.99 for two digits. */
    if (result > 0 && c->t->kind == TYPE_NUMERIC && c->t->precision > 0 &&
        dec_meant(in->d, c->t->scale, &d)) {
        result = 0;
    }
    if (is_exact && isfinite(in->d) &&
        (result > 0 || fabs(in->d) >= 9007199254740992.0)) {
        return refuse_rounded(c, in);
    }
    if (result < 0) {
        return convert_is_not(c, in);
    }
    dec_to_cell(&d, c->a, out);
    if (out->tag == TM_DEC && out->scale == 0) {
        out->tag = TM_INT;
    }
    return true;
}

/* What seconds(x) and the like gave: a number in a known unit for a column of
 * a time, and its text for columns of texts and documents. */
static bool from_time(const struct conversion *c, const struct tm_cell *in,
                      struct tm_cell *out)
{
    char text[80];

    switch (c->t->kind) {
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        *out =
            (struct tm_cell){.i = in->i, .tag = TM_INT, .hint = TM_HINT_MICROS};
        return true;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_CHAR:
        out->len = (uint32_t)tm_time_format(in->i, text);
        *out = (struct tm_cell){.p = arena_dup(c->a, text, out->len),
                                .len = out->len,
                                .tag = TM_TEXT};
        return true;
    case TYPE_JSON:
    case TYPE_JSONB:
        text[0] = '"';
        out->len = (uint32_t)tm_time_format(in->i, text + 1) + 2;
        text[out->len - 1] = '"';
        *out = (struct tm_cell){.p = arena_dup(c->a, text, out->len),
                                .len = out->len,
                                .tag = TM_OBJECT};
        return true;
    default:
        return convert_is_not(c, in);
    }
}

#define FORM(form) (1u << PLACEHOLDER_##form)

/* Was the value left alone by the UPDATE? [in] may be what it converts to. */
static bool is_unavailable(const struct conversion *c, const struct tm_cell *in)
{
    bool is_bytes = c->t->kind == TYPE_BYTEA || c->t->kind == TYPE_NUMERIC;
    unsigned forms =
        in->tag == TM_TEXT
            ? FORM(TEXT) | FORM(PAIR) | (is_bytes ? FORM(BASE64) : 0)
        : in->tag == TM_OBJECT  ? FORM(PAIR)
        : in->tag == TM_ARRAY   ? FORM(JSON_TEXTS) | FORM(JSON_NUMBERS)
        : in->tag == TM_LITERAL ? FORM(TEXTS) | FORM(NUMBERS)
                                : 0;

    return forms && unavailable_is(c->rules->unavailable, in, forms);
}

/* What is in a raw outbox row is an event of JSON, not a row of Debezium. */
struct convert_rules convert_rules_of(const struct plan_topic *t)
{
    return (struct convert_rules){.format = t->format,
                                  .decimals = t->decimals,
                                  .times = t->times,
                                  .binary = t->binary,
                                  .unavailable = t->unavailable,
                                  .is_payload = t->outbox && t->outbox->time};
}

bool convert_cell(const struct coltype *t, const struct tm_cell *in,
                  const struct convert_rules *rules, struct arena *a,
                  struct tm_cell *out, struct err *e)
{
    struct conversion c = {.t = t, .rules = rules, .a = a, .e = e};
    bool is_debezium = rules->format == FORMAT_DEBEZIUM;
    struct tm_cell number;

    if (in->tag == TM_MISSING || in->tag == TM_NULL ||
        (in->tag == kinds[t->kind].own && in->hint == TM_HINT_NONE)) {
        *out = *in;
        return true;
    }
    if (is_debezium && is_unavailable(&c, in)) {
        *out = (struct tm_cell){.tag = TM_MISSING};
        return true;
    }
    if ((in->tag == TM_DOUBLE && !takes_doubles(t)) || in->tag == TM_STAMP) {
        if (!(in->tag == TM_STAMP ? from_time : from_lua)(&c, in, &number)) {
            return false;
        }
        in = &number;
    }
    if (!kinds[t->kind].fn(&c, in, out)) {
        return false;
    }
    if (is_debezium && out->tag == TM_LITERAL && is_unavailable(&c, out)) {
        *out = (struct tm_cell){.tag = TM_MISSING};
    }
    return true;
}

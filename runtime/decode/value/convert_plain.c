/* Whether a value is written in the one way of its type. See convert.h. */
#include <ctype.h>
#include <string.h>

#include "decode/json/base64.h"
#include "decode/value/convert_part.h"

/* "7", and neither "+7", "07" nor "-0". */
static bool is_plain_integer(const struct tm_cell *in)
{
    bool is_negative = in->len > 0 && in->p[0] == '-';
    uint32_t digits = in->len - is_negative;

    return digits > 0 && in->p[0] != '+' &&
           (in->p[is_negative] != '0' || (digits == 1 && !is_negative));
}

/* Letters (the bit 0x40) of the other case among eight characters: capitals
 * lack the bit 0x20. */
static inline uint64_t other_letters(uint64_t part, bool in_capitals)
{
    return (part >> 1) & (in_capitals ? part : ~part) & 0x2020202020202020ULL;
}

/* With hyphens, and letters of the one case that is declared. */
static bool is_plain_uuid(const struct tm_cell *in, bool in_capitals)
{
    uint64_t part[4], others;
    uint32_t last;

    if (in->len != 36 || in->p[8] != '-' || in->p[13] != '-' ||
        in->p[18] != '-' || in->p[23] != '-') {
        return false;
    }
    memcpy(part, in->p, sizeof(part));
    memcpy(&last, in->p + sizeof(part), sizeof(last));
    others = other_letters(last, in_capitals);
    for (int i = 0; i < 4; i++) {
        others |= other_letters(part[i], in_capitals);
    }
    return others == 0;
}

bool convert_is_plain(const struct coltype *t, const struct tm_cell *in,
                      bool is_odd)
{
    switch (t->kind) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        return true;
    case TYPE_SMALLINT:
    case TYPE_INTEGER:
    case TYPE_BIGINT:
        return in->tag == TM_TEXT ? is_plain_integer(in)
                                  : in->tag == TM_INT && !is_odd;
    case TYPE_BOOLEAN:
        return in->tag == TM_BOOL || in->tag == TM_TEXT;
    case TYPE_UUID:
        return in->tag == TM_TEXT && is_plain_uuid(in, t->in_capitals);
    default:
        return false;
    }
}

static bool is_same(const struct tm_cell *in, const struct buf *text)
{
    return in->len == text->len &&
           (in->len == 0 || memcmp(in->p, text->data, in->len) == 0);
}

/* 19:00:00.5Z as 19:00:00.500000Z, by the digits that the column declares. */
static void put_padded(const struct coltype *t, const char *text, size_t len,
                       struct buf *out)
{
    const char *point = memchr(text, '.', len);
    size_t has = point ? len - (size_t)(point - text) - 2 : 0;

    buf_put(out, text, len - 1);
    buf_put(out, ".", !point);
    for (size_t i = has; i < (size_t)t->precision; i++) {
        buf_put(out, "0", 1);
    }
    buf_put(out, "Z", 1);
}

/* Bytes as the settings of the topic have them read. */
static void put_bytes(const struct convert_rules *rules,
                      const struct tm_cell *in, const struct tm_cell *cell,
                      struct buf *out)
{
    bool is_debezium = rules->format == FORMAT_DEBEZIUM;
    bool is_hex = rules->binary == BINARY_HEX;
    struct buf hex = {0};

    if ((is_debezium && (in->hint == TM_HINT_BASE64 || !is_hex)) ||
        rules->binary == BINARY_BASE64) {
        base64_encode(cell->p, cell->len, out);
        return;
    }
    convert_text(&(struct coltype){.kind = TYPE_BYTEA}, cell, &hex);
    size_t lead = is_hex ? strlen("\\x") : 0;
    buf_put(out, hex.data + lead, hex.len - lead);
    buf_close(&hex);
}

/* The zeros at the end of a numeric(p,s), of which [len] bytes stand already. */
static void put_zeros(const struct coltype *t, size_t len, struct buf *out)
{
    const char *text = out->data + out->len - len;
    const char *point = memchr(text, '.', len);
    int has = point ? (int)(len - (size_t)(point - text) - 1) : 0;

    buf_put(out, ".", !point && t->scale > 0);
    for (int i = has; i < t->scale; i++) {
        buf_put(out, "0", 1);
    }
}

/* The blanks at the end of a char(n). */
static void put_blanks(const struct coltype *t, const struct tm_cell *cell,
                       struct buf *out)
{
    size_t has = 0;

    for (uint32_t i = 0; i < cell->len; i++) {
        has += ((unsigned char)cell->p[i] & 0xC0) != 0x80;
    }
    for (size_t i = has; i < (size_t)t->length; i++) {
        buf_put(out, " ", 1);
    }
}

/* What the type prints after the cell of a key, of which [len] bytes stand
 * already. The blanks of a char(n) are there where PostgreSQL's connector writes
 * them; MySQL's and applications leave them out. */
static void put_rest(const struct coltype *t, const struct convert_rules *rules,
                     const struct tm_cell *cell, size_t len, struct buf *out)
{
    if (t->kind == TYPE_NUMERIC && t->precision > 0) {
        put_zeros(t, len, out);
    } else if (t->kind == TYPE_CHAR && rules->format == FORMAT_DEBEZIUM &&
               !rules->is_mysql) {
        put_blanks(t, cell, out);
    }
}

void convert_key_text(const struct coltype *t,
                      const struct convert_rules *rules,
                      const struct tm_cell *in, const struct tm_cell *cell,
                      struct buf *out)
{
    size_t from = out->len;

    if (t->kind == TYPE_BYTEA) {
        put_bytes(rules, in, cell, out);
        return;
    }
    convert_text(t, cell, out);
    put_rest(t, rules, cell, out->len - from, out);
    for (size_t i = from; t->in_capitals && i < out->len; i++) {
        out->data[i] = (char)toupper((unsigned char)out->data[i]);
    }
}

static bool is_text_printed(const struct coltype *t, const struct tm_cell *in,
                            const struct convert_rules *rules,
                            const struct tm_cell *cell)
{
    struct buf text = {0}, padded = {0};
    bool is;

    convert_key_text(t, rules, in, cell, &text);
    is = is_same(in, &text);
    if (!is && t->kind == TYPE_TIMESTAMP && rules->format == FORMAT_DEBEZIUM) {
        buf_put(&text, "Z", 1); /* the connector's way */
        is = is_same(in, &text);
    }
    if (!is && t->kind == TYPE_TIMESTAMPTZ && t->precision > 0 &&
        !type_is_infinite(cell->i)) {
        put_padded(t, text.data, text.len, &padded);
        is = is_same(in, &padded);
    }
    buf_close(&text);
    buf_close(&padded);
    return is;
}

/* Is the number the only one of its value? Those that share one stand side by
 * side. */
static bool is_alone(const struct conversion *c, const struct tm_cell *in,
                     const struct tm_cell *cell)
{
    for (int64_t step = -1; step <= 1; step += 2) {
        struct tm_cell near = *in, other;

        if (!__builtin_add_overflow(in->i, step, &near.i) &&
            convert_cell(c->t, &near, c->rules, c->a, &other, c->e) &&
            convert_equal(&other, cell)) {
            return false;
        }
    }
    return true;
}

/* Is it what the column holds, to the microsecond? Then it is the one number of
 * its value, also where others are cut or rounded to that. */
static bool is_exact(const struct conversion *c, const struct tm_cell *in,
                     const struct tm_cell *cell)
{
    static const struct coltype whole = {.kind = TYPE_TIMESTAMPTZ,
                                         .precision = 6};
    struct conversion fine = *c;
    int64_t usec = cell->i;
    struct tm_cell stamp;

    fine.t = &whole;
    return (c->t->kind != TYPE_DATE ||
            !__builtin_mul_overflow(cell->i, 86400000000LL, &usec)) &&
           convert_cell(&whole, in, c->rules, c->a, &stamp, c->e) &&
           stamp.i == usec && is_alone(&fine, in, &stamp);
}

/*
 * A number of a connector that is not written as a whole one: its converter has
 * one way for each. A Decimal is bytes; a double is 7.0 or 1.2E7, which only a
 * schema or the setting tells from 7.0 of another producer.
 */
static bool is_of_connector(const struct coltype *t, const struct tm_cell *in,
                            const struct convert_rules *rules, bool is_odd)
{
    bool is_double =
        is_odd && (rules->has_schema || rules->decimals == DECIMALS_DOUBLE);

    if (rules->format != FORMAT_DEBEZIUM) {
        return t->kind == TYPE_NUMERIC && t->scale == 0 && !is_odd &&
               in->tag == TM_INT;
    }
    if (t->kind == TYPE_NUMERIC || t->kind == TYPE_BOOLEAN) {
        return in->tag != TM_OBJECT && (!is_odd || is_double);
    }
    return in->tag == TM_DEC
               ? (in->scale == 0 && !is_odd) || (in->scale == 1 && is_double)
               : in->tag == TM_INT && is_double;
}

bool convert_is_printed(const struct coltype *t, const struct tm_cell *in,
                        const struct convert_rules *rules, struct arena *a,
                        bool is_odd)
{
    struct err ignored;
    struct conversion c = {.t = t, .rules = rules, .a = a, .e = &ignored};
    struct tm_cell cell;

    if (!convert_cell(t, in, rules, a, &cell, &ignored) ||
        cell.tag == TM_MISSING || cell.tag == TM_NULL) {
        return true;
    }
    if (in->tag == TM_TEXT) { /* base64 of an integer has one way for each */
        return (t->kind == TYPE_NUMERIC && rules->format == FORMAT_DEBEZIUM &&
                rules->decimals == DECIMALS_PRECISE) ||
               is_text_printed(t, in, rules, &cell);
    }
    if (t->kind != TYPE_DATE && t->kind != TYPE_TIMESTAMP &&
        t->kind != TYPE_TIMESTAMPTZ) {
        return is_of_connector(t, in, rules, is_odd);
    }
    return !is_odd && in->tag == TM_INT &&
           (is_alone(&c, in, &cell) || is_exact(&c, in, &cell));
}

/* See logical.h. */
#include "decode/json/logical.h"

#include <string.h>

#include "decode/json/base64.h"
#include "decode/json/unavailable.h"
#include "model/decimal.h"

/* 128 bits hold every decimal of 38 digits. */
enum { UNSCALED_BYTES = 16 };

static bool misfit(struct walk *w, const char *fault)
{
    w->is_misfit = true;
    return walk_fail(w, fault);
}

/* Such a value must reach the column as it is. */
static bool is_unavailable(const struct walk *w, const struct tm_cell *c)
{
    return c->tag == TM_TEXT &&
           unavailable_is(w->unavailable, c,
                          1u << PLACEHOLDER_TEXT | 1u << PLACEHOLDER_BASE64);
}

static bool is_number(const struct tm_cell *c)
{
    return c->tag == TM_INT || c->tag == TM_DEC || c->tag == TM_BIGDEC ||
           c->tag == TM_NUMBER;
}

static bool put_decimal(struct walk *w, dec_mantissa v, int32_t scale,
                        struct tm_cell *out)
{
    struct tm_dec d;

    if (dec_make(v, scale, &d) < 0) {
        return misfit(w, "a decimal of more than 38 digits");
    }
    dec_to_cell(&d, w->arena, out);
    return true;
}

/* [text] is base64 of a big-endian integer in two's complement. */
static bool read_unscaled(struct walk *w, const struct tm_cell *text,
                          int32_t scale, struct tm_cell *out)
{
    char bytes[4 * UNSCALED_BYTES];
    int64_t n = text->tag == TM_TEXT && text->len <= sizeof(bytes)
                    ? base64_decode(text->p, text->len, bytes)
                    : -1;

    if (n < 1 || n > UNSCALED_BYTES) {
        return misfit(w, "a decimal that is not base64 of at most 16 bytes");
    }
    unsigned __int128 v = (int8_t)bytes[0] < 0 ? ~(unsigned __int128)0 : 0;
    for (int64_t i = 0; i < n; i++) {
        v = v << 8 | (uint8_t)bytes[i];
    }
    return put_decimal(w, (dec_mantissa)v, scale, out);
}

/* {"scale":2,"value":"BNI="}, which starts at structural [first]. */
static bool read_variable(struct walk *w, uint32_t first, struct tm_cell *out)
{
    struct tm_cell scale = {.tag = TM_MISSING}, value = {.tag = TM_MISSING};
    uint32_t behind = w->i;
    struct walk_key k;

    w->i = first;
    enum walk_step s = walk_first(w, &k);
    for (; s == WALK_MEMBER; s = walk_next(w, &k)) {
        struct tm_cell other;
        struct tm_cell *c = walk_key_is(&k, "scale")   ? &scale
                            : walk_key_is(&k, "value") ? &value
                                                       : &other;

        if (!walk_value(w, c)) {
            return false;
        }
    }
    if (s != WALK_END) {
        return false;
    }
    w->i = behind;
    if (scale.tag != TM_INT || scale.i < INT16_MIN || scale.i > INT16_MAX) {
        return misfit(w, "a VariableScaleDecimal without a scale");
    }
    return read_unscaled(w, &value, (int32_t)scale.i, out);
}

/* Milliseconds, exactly: with a fraction only where there is one. */
static void to_millis(struct tm_cell *c, int64_t unit, int8_t digits)
{
    if (c->tag != TM_INT) {
        return;
    }
    if (c->i % unit == 0) {
        c->i /= unit;
        return;
    }
    c->tag = TM_DEC;
    c->scale = digits;
}

/* A time: in milliseconds, unless it stays as it is. */
static void apply_unit(enum logical logical, struct tm_cell *c)
{
    c->hint = TM_HINT_MILLIS;
    switch (logical) {
    case LOGICAL_MICROS:
        to_millis(c, 1000, 3);
        return;
    case LOGICAL_NANOS:
        to_millis(c, 1000000, 6);
        return;
    case LOGICAL_IS_MICROS:
        c->hint = TM_HINT_MICROS;
        return;
    case LOGICAL_IS_NANOS:
        c->hint = TM_HINT_NANOS;
        return;
    default:
        return;
    }
}

static bool apply(struct walk *w, const struct schema_field *f, uint32_t first,
                  struct tm_cell *c)
{
    if (c->tag == TM_NULL || is_unavailable(w, c)) {
        return true;
    }
    switch (f->logical) {
    case LOGICAL_DECIMAL:
        /* JsonConverter's decimal.format=NUMERIC writes numbers. */
        return is_number(c) || read_unscaled(w, c, f->scale, c);
    case LOGICAL_VARIABLE_DECIMAL:
        return c->tag == TM_OBJECT
                   ? read_variable(w, first, c)
                   : misfit(w, "a VariableScaleDecimal that is no object");
    case LOGICAL_BYTES:
        c->hint = TM_HINT_BASE64;
        return true;
    default:
        if (is_number(c)) {
            apply_unit((enum logical)f->logical, c);
        }
        return true;
    }
}

bool logical_apply(struct walk *w, struct schema_row *row, int node,
                   uint32_t first)
{
    struct tm_cell *c = walk_cell(w, node);
    const struct schema_field *f =
        c ? schema_row_field(row, w->tree, node) : NULL;

    return !f || apply(w, f, first, c);
}

bool logical_apply_named(struct walk *w, const struct schema_row *row,
                         const char *name, uint32_t len, uint32_t first,
                         struct tm_cell *c)
{
    const struct schema_field *f = schema_row_named(row, name, len);

    return !f || apply(w, f, first, c);
}

void logical_time(const struct schema_row *row, const char *name,
                  struct tm_cell *c)
{
    const struct schema_field *f =
        row ? schema_row_named(row, name, (uint32_t)strlen(name)) : NULL;

    if (f && f->logical >= LOGICAL_MICROS && is_number(c)) {
        apply_unit((enum logical)f->logical, c);
    }
}

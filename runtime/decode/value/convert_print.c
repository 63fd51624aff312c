/* Cells of rows as text, and whether two of them are the same. See
 * convert.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/value/convert_part.h"
#include "decode/value/time.h"
#include "model/decimal.h"

enum { TIME_TEXT_BYTES = 48 };

static void put_hex(const unsigned char *p, size_t n, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";

    buf_reserve(out, n * 2);
    for (size_t i = 0; i < n; i++) {
        out->data[out->len++] = hex[p[i] >> 4];
        out->data[out->len++] = hex[p[i] & 15];
    }
}

static void put_uuid(const unsigned char *p, struct buf *out)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};

    for (size_t i = 0; i < sizeof(groups); i++) {
        buf_put(out, "-", i > 0);
        put_hex(p, groups[i], out);
        p += groups[i];
    }
}

static void put_time(const struct coltype *t, const struct tm_cell *c,
                     struct buf *out)
{
    buf_reserve(out, TIME_TEXT_BYTES);
    if (c->tag == TM_DATE) {
        out->len += time_put_date(c->i, out->data + out->len);
    } else if (c->tag == TM_TIME) {
        out->len += time_put_clock(c->i, out->data + out->len);
    } else {
        out->len += time_put_stamp(c->i, out->data + out->len);
        buf_put(out, "Z",
                t->kind == TYPE_TIMESTAMPTZ && !type_is_infinite(c->i));
    }
}

/* The shortest text that reads back as the same float. */
static void put_real(double d, struct buf *out)
{
    char digits[32];

    for (int n = 6; n <= 9; n++) {
        snprintf(digits, sizeof(digits), "%.*g", n, d);
        if (strtof(digits, NULL) == (float)d) {
            break;
        }
    }
    buf_puts(out, digits);
}

int tm_time_of(const struct tm_dec *x, int digits, int64_t *usec)
{
    const struct tm_cell c = {.p = (const char *)x, .tag = TM_BIGDEC};

    return convert_usec(&c, digits, usec) && convert_is_stamp(*usec) ? 0 : -1;
}

int tm_time_format(int64_t usec, char out[64])
{
    size_t len = time_put_stamp(usec, out);

    out[len] = 'Z';
    return (int)len + 1;
}

static void put_digits(const struct tm_cell *c, struct buf *out)
{
    char digits[64];
    size_t len = convert_digits(c, digits, sizeof(digits));

    buf_put(out, digits, len);
}

void convert_text(const struct coltype *t, const struct tm_cell *c,
                  struct buf *out)
{
    switch (c->tag) {
    case TM_MISSING:
    case TM_NULL:
        return;
    case TM_BOOL:
        buf_puts(out, c->i ? "true" : "false");
        return;
    case TM_DOUBLE:
        if (t->kind == TYPE_REAL) {
            put_real(c->d, out);
            return;
        }
        /* fall through */
    case TM_INT:
    case TM_DEC:
    case TM_BIGDEC:
        put_digits(c, out);
        return;
    case TM_UUID:
        put_uuid((const unsigned char *)c->p, out);
        return;
    case TM_BYTES:
        buf_puts(out, "\\x");
        put_hex((const unsigned char *)c->p, c->len, out);
        return;
    case TM_DATE:
    case TM_TIME:
    case TM_STAMP:
        put_time(t, c, out);
        return;
    default:
        buf_put(out, c->p, c->len);
    }
}

static bool same_decimal(const struct tm_cell *a, const struct tm_cell *b)
{
    struct tm_dec x;
    struct tm_dec y;

    return dec_from_cell(a, &x) && dec_from_cell(b, &y) && x.scale == y.scale &&
           dec_get(&x) == dec_get(&y);
}

/* 1.5 and 1.50 differ: PostgreSQL keeps the zero of a numeric without scale,
 * and rows must not depend on how events were cut into batches. */
bool convert_equal(const struct tm_cell *a, const struct tm_cell *b)
{
    switch (a->tag) {
    case TM_DEC:
    case TM_BIGDEC:
        return same_decimal(a, b);
    default:
        break;
    }
    if (a->tag != b->tag) {
        return false;
    }
    switch (a->tag) {
    case TM_MISSING:
    case TM_NULL:
        return true;
    case TM_BOOL:
    case TM_INT:
    case TM_DATE:
    case TM_TIME:
    case TM_STAMP:
    case TM_DOUBLE: /* bit by bit: a NaN is the same NaN */
        return a->i == b->i;
    case TM_UUID:
        return memcmp(a->p, b->p, 16) == 0;
    default:
        return a->len == b->len &&
               (a->len == 0 || memcmp(a->p, b->p, a->len) == 0);
    }
}

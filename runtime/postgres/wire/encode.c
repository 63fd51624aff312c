/*
 * Cells to arrays in PostgreSQL's binary format. This is the hot path of a
 * batch: one reservation a column, then one tight loop a type. The wire type
 * of a column is what type_oid() says.
 */
#include "postgres/wire/encode.h"

#include "model/decimal.h"

enum {
    JSONB_VERSION = 1,
    /* elements: 4 of length, 8 of header, and at most 11 groups of 4 digits
     * (39 digits of a 128 bit mantissa, split by the point) */
    NUMERIC_BYTES = 4 + 8 + 2 * 12,
    NUMERIC_NEGATIVE = 0x4000,
    EPOCH_DAYS = 10957 /* from 1970-01-01 to 2000-01-01 */
};
static const int64_t EPOCH_USEC = 946684800LL * 1000000;
static const uint32_t POWERS[4] = {1, 10, 100, 1000};

typedef unsigned __int128 u128;

static void put_u8(struct buf *b, uint8_t v)
{
    b->data[b->len++] = (char)v;
}

static void put_bytes(struct buf *b, const void *p, uint32_t len)
{
    memcpy(b->data + b->len, p, len);
    b->len += len;
}

/* Header of a one-dimensional array of [n]; the flags are set by the end. */
static size_t array_begin(struct buf *b, uint32_t oid, uint32_t n)
{
    buf_reserve(b, 20);
    size_t flags_at = b->len + 4;
    buf_u32(b, n > 0);
    buf_u32(b, 0);
    buf_u32(b, oid);
    if (n > 0) {
        buf_u32(b, n);
        buf_u32(b, 1);
    }
    return flags_at;
}

/* ---- numeric ---- */

/* The base-10000 digits of [m] * 10^-[scale], lowest first. */
static int digits_u64(uint64_t m, int scale, uint16_t *out)
{
    int n = 0;
    uint32_t part = POWERS[scale % 4];
    if (part > 1) {
        out[n++] = (uint16_t)(m % part * (10000 / part));
        m /= part;
    }
    for (; m; m /= 10000) {
        out[n++] = (uint16_t)(m % 10000);
    }
    return n;
}

static int digits_u128(u128 m, int scale, uint16_t *out)
{
    int n = 0;
    uint32_t part = POWERS[scale % 4];
    if (part > 1) {
        out[n++] = (uint16_t)((uint32_t)(m % part) * (10000 / part));
        m /= part;
    }
    for (; m; m /= 10000) {
        out[n++] = (uint16_t)(m % 10000);
    }
    return n;
}

static void put_decimal(struct buf *b, bool negative, u128 m, int scale)
{
    for (; scale < 0; scale++) {
        m *= 10;
    }
    uint16_t digits[16];
    int n = m <= UINT64_MAX ? digits_u64((uint64_t)m, scale, digits)
                            : digits_u128(m, scale, digits);
    if (m == 0) {
        n = 0;
    }
    int weight = n ? n - 1 - (scale + 3) / 4 : 0;
    buf_u32(b, (uint32_t)(8 + 2 * n));
    buf_u16(b, (uint16_t)n);
    buf_u16(b, (uint16_t)weight);
    buf_u16(b, negative && n ? NUMERIC_NEGATIVE : 0);
    buf_u16(b, (uint16_t)scale);
    while (n > 0) {
        buf_u16(b, digits[--n]);
    }
}

static void put_numeric(struct buf *b, const struct tm_cell *c)
{
    if (c->tag == TM_BIGDEC) {
        struct tm_dec d;
        memcpy(&d, c->p, sizeof(d));
        dec_mantissa m = dec_get(&d);
        put_decimal(b, m < 0, dec_magnitude(m), d.scale);
        return;
    }
    must(c->tag == TM_INT || c->tag == TM_DEC);
    uint64_t m = (uint64_t)c->i;
    put_decimal(b, c->i < 0, c->i < 0 ? -m : m,
                c->tag == TM_DEC ? c->scale : 0);
}

/* ---- one element of each wire type, length first ---- */

static void put_int2(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 2);
    buf_u16(b, (uint16_t)c->i);
}

static void put_int4(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 4);
    buf_u32(b, (uint32_t)c->i);
}

/* Also time, and double: its bits lie where the integer's do. */
static void put_int8(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 8);
    buf_u64(b, (uint64_t)c->i);
}

static void put_bool(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 1);
    put_u8(b, c->i != 0);
}

static void put_float4(struct buf *b, const struct tm_cell *c)
{
    float f = (float)c->d;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    buf_u32(b, 4);
    buf_u32(b, bits);
}

static void put_date(struct buf *b, const struct tm_cell *c)
{
    int64_t days = type_is_infinite(c->i)
                       ? (c->i == TYPE_INFINITY ? INT32_MAX : INT32_MIN)
                       : c->i - EPOCH_DAYS;

    buf_u32(b, 4);
    buf_u32(b, (uint32_t)days);
}

static void put_stamp(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 8);
    buf_u64(b, type_is_infinite(c->i) ? (uint64_t)c->i
                                      : (uint64_t)c->i - (uint64_t)EPOCH_USEC);
}

static void put_uuid(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, 16);
    put_bytes(b, c->p, 16);
}

static void put_text(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, c->len);
    put_bytes(b, c->p, c->len);
}

static void put_jsonb(struct buf *b, const struct tm_cell *c)
{
    buf_u32(b, c->len + 1);
    put_u8(b, JSONB_VERSION);
    put_bytes(b, c->p, c->len);
}

/* ---- arrays ---- */

struct slice_of_cells {
    const struct tm_cell *cells;
    const uint32_t *index; /* NULL: 0..n-1 */
    uint32_t n;
};

/* Inlined with each constant [put], so that every type has a loop without a
 * call. [size]: room for one element; text adds its bytes. Returns whether
 * there was a NULL. */
static inline __attribute__((always_inline)) bool
put_each(struct buf *b, const struct slice_of_cells *s, uint32_t size,
         void (*put)(struct buf *, const struct tm_cell *))
{
    bool has_null = false;
    buf_reserve(b, (size_t)s->n * size);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct tm_cell *c = &s->cells[s->index ? s->index[i] : i];
        if (c->tag <= TM_NULL) {
            buf_u32(b, UINT32_MAX);
            has_null = true;
        } else {
            put(b, c);
        }
    }
    return has_null;
}

static size_t text_bytes(const struct slice_of_cells *s)
{
    size_t total = (size_t)s->n * 5;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct tm_cell *c = &s->cells[s->index ? s->index[i] : i];
        total += c->tag <= TM_NULL ? 0 : c->len;
    }
    return total;
}

static bool put_texts(struct buf *b, const struct slice_of_cells *s,
                      bool is_jsonb)
{
    buf_reserve(b, text_bytes(s));
    return is_jsonb ? put_each(b, s, 0, put_jsonb)
                    : put_each(b, s, 0, put_text);
}

/* Of one element at most; 0: its own. */
static uint32_t element_bytes(const struct coltype *t)
{
    uint32_t bytes = type_bytes(t);

    return t->kind == TYPE_NUMERIC ? NUMERIC_BYTES : bytes ? 4 + bytes : 0;
}

static bool put_elements(struct buf *b, const struct coltype *t,
                         const struct slice_of_cells *s)
{
    uint32_t size = element_bytes(t);

    switch ((enum type_kind)t->kind) {
    case TYPE_SMALLINT:
        return put_each(b, s, size, put_int2);
    case TYPE_INTEGER:
        return put_each(b, s, size, put_int4);
    case TYPE_BIGINT:
    case TYPE_DOUBLE:
    case TYPE_TIME:
        return put_each(b, s, size, put_int8);
    case TYPE_NUMERIC:
        return put_each(b, s, size, put_numeric);
    case TYPE_REAL:
        return put_each(b, s, size, put_float4);
    case TYPE_BOOLEAN:
        return put_each(b, s, size, put_bool);
    case TYPE_UUID:
        return put_each(b, s, size, put_uuid);
    case TYPE_DATE:
        return put_each(b, s, size, put_date);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return put_each(b, s, size, put_stamp);
    default: /* all that travels as bytes */
        return put_texts(b, s, t->kind == TYPE_JSONB);
    }
}

uint64_t encode_bytes(const struct coltype *t, const struct tm_cell *cells,
                      const uint32_t *index, uint32_t n)
{
    struct slice_of_cells s = {cells, index, n};
    uint32_t size = element_bytes(t);

    return size ? (uint64_t)n * size : text_bytes(&s);
}

void encode_array(struct buf *out, const struct coltype *t,
                  const struct tm_cell *cells, const uint32_t *index,
                  uint32_t n)
{
    struct slice_of_cells s = {cells, index, n};
    size_t flags_at = array_begin(out, type_oid(t), n);
    out->data[flags_at + 3] = put_elements(out, t, &s);
}

void encode_xid_array(struct buf *out, const uint32_t *values, uint32_t n)
{
    array_begin(out, OID_XID, n);
    buf_reserve(out, (size_t)n * 8);
    for (uint32_t i = 0; i < n; i++) {
        buf_u32(out, 4);
        buf_u32(out, values[i]);
    }
}

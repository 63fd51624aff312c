/*
 * Values of a binary result to cells. What a cell cannot hold exactly is
 * refused, never rounded: a row that is loaded and written back unchanged
 * must be the same row.
 */
#include "model/decimal.h"
#include "postgres/wire/encode.h"

enum {
    NUMERIC_SPECIAL = 0x8000, /* bit of NaN and the infinities */
    NUMERIC_NEGATIVE = 0x4000,
    NUMERIC_INFINITY = 0x1000, /* beside the special bit; NaN is without */
    TOLD_DIGITS = 120,         /* of a numeric that is told to people */
    EPOCH_DAYS = 10957         /* from 1970-01-01 to 2000-01-01 */
};
static const int64_t EPOCH_USEC = 946684800LL * 1000000;
static const uint32_t POWERS[4] = {1, 10, 100, 1000};

typedef unsigned __int128 u128;

static uint16_t get_u16(const char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap16(v);
}

static uint32_t get_u32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

static uint64_t get_u64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

/* m * 10^n + digits; false when that has more than 38 digits. */
static bool shift_in(u128 *m, uint32_t power, uint32_t digits)
{
    if (*m > (u128)dec_power(37) / power * 10) {
        return false;
    }
    *m = *m * power + digits;
    return true;
}

/* The digits down to [dscale] after the point, as a whole number. */
static bool read_mantissa(const char *p, int n, int weight, int dscale, u128 *m)
{
    int groups = weight + 1 + dscale / 4;
    *m = 0;
    for (int i = 0; i < groups; i++) {
        if (!shift_in(m, 10000, i < n ? get_u16(p + 8 + 2 * i) : 0)) {
            return false;
        }
    }
    uint32_t part = POWERS[dscale % 4];
    bool has_part = part > 1 && groups >= 0 && groups < n;
    uint32_t last = has_part ? get_u16(p + 8 + 2 * groups) : 0;
    return shift_in(m, part, last / (10000 / part));
}

/* The server cuts no value. */
static bool other_type(int len, const char *type, struct err *e)
{
    return err_set(e, ERR_SCHEMA,
                   "a value of %d bytes came for a column of type %s, which it "
                   "cannot be of: the table's column is of another type; "
                   "`tidemill check` names it",
                   len, type);
}

static bool read_numeric(const char *p, int len, struct arena *a,
                         struct tm_cell *out, struct err *e)
{
    int n = len >= 8 ? get_u16(p) : 0;
    if (len < 8 + 2 * n || len < 8) {
        return other_type(len, "numeric", e);
    }
    int sign = get_u16(p + 4), dscale = get_u16(p + 6);
    if (sign & NUMERIC_SPECIAL) {
        return err_set(e, ERR_DATA, "decimals have neither NaN nor infinity");
    }
    u128 m;
    struct tm_dec d;
    if (!read_mantissa(p, n, (int16_t)get_u16(p + 2), dscale, &m) ||
        dec_make(sign ? -(dec_mantissa)m : (dec_mantissa)m, dscale, &d) < 0) {
        return err_set(e, ERR_DATA,
                       "decimals have 38 digits, at most 60 of them after "
                       "the point");
    }
    dec_to_cell(&d, a, out);
    return true;
}

static void read_date(uint32_t v, struct tm_cell *out)
{
    int32_t days = (int32_t)v;

    out->i = days == INT32_MAX   ? TYPE_INFINITY
             : days == INT32_MIN ? TYPE_MINUS_INFINITY
                                 : (int64_t)days + EPOCH_DAYS;
    out->tag = TM_DATE;
}

static bool read_stamp(uint64_t v, struct tm_cell *out, struct err *e)
{
    int64_t t = (int64_t)v;

    out->tag = TM_STAMP;
    out->i = t;
    if (type_is_infinite(t)) {
        return true;
    }
    /* PostgreSQL's go on for 30 years more than 64 bits since 1970 do. */
    if (t >= INT64_MAX - EPOCH_USEC) {
        return err_set(e, ERR_DATA, "timestamps end with the year 294246");
    }
    out->i = t + EPOCH_USEC;
    return true;
}

static void read_real(uint32_t bits, struct tm_cell *out)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    out->d = f;
    out->tag = TM_DOUBLE;
}

static bool read_bytes(const char *p, int len, enum tm_tag tag, struct arena *a,
                       struct tm_cell *out)
{
    out->p = arena_dup(a, p, (size_t)len);
    out->len = (uint32_t)len;
    out->tag = (uint8_t)tag;
    return true;
}

static bool read_scalar(const struct coltype *t, const char *p,
                        struct tm_cell *out, struct err *e)
{
    switch ((enum type_kind)t->kind) {
    case TYPE_BOOLEAN:
        *out = (struct tm_cell){.i = p[0] != 0, .tag = TM_BOOL};
        return true;
    case TYPE_SMALLINT:
        *out = (struct tm_cell){.i = (int16_t)get_u16(p), .tag = TM_INT};
        return true;
    case TYPE_INTEGER:
        *out = (struct tm_cell){.i = (int32_t)get_u32(p), .tag = TM_INT};
        return true;
    case TYPE_REAL:
        read_real(get_u32(p), out);
        return true;
    case TYPE_DATE:
        read_date(get_u32(p), out);
        return true;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return read_stamp(get_u64(p), out, e);
    default: /* bigint, double, time */
        out->i = (int64_t)get_u64(p);
        out->tag = t->kind == TYPE_BIGINT   ? TM_INT
                   : t->kind == TYPE_DOUBLE ? TM_DOUBLE
                                            : TM_TIME;
        return true;
    }
}

bool encode_read(const struct coltype *t, const char *p, int len,
                 struct arena *a, struct tm_cell *out, struct err *e)
{
    *out = (struct tm_cell){.tag = TM_NULL};
    if (!p) {
        return true;
    }
    int size = (int)type_bytes(t);
    if (size && len != size) {
        return err_set(e, ERR_SCHEMA,
                       "a value of %d bytes came for a column "
                       "whose type has %d: the table's column "
                       "is of another type; `tidemill check` names it",
                       len, size);
    }
    switch ((enum type_kind)t->kind) {
    case TYPE_NUMERIC:
        return read_numeric(p, len, a, out, e);
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        return read_bytes(p, len, TM_TEXT, a, out);
    case TYPE_CHAR:
        while (len > 0 && p[len - 1] == ' ') {
            len--;
        }
        return read_bytes(p, len, TM_TEXT, a, out);
    case TYPE_UUID:
        return read_bytes(p, len, TM_UUID, a, out);
    case TYPE_BYTEA:
        return read_bytes(p, len, TM_BYTES, a, out);
    case TYPE_JSON:
        return read_bytes(p, len, TM_JSON, a, out);
    case TYPE_JSONB:
        /* A byte of version, then the text. */
        return len > 0 ? read_bytes(p + 1, len - 1, TM_JSON, a, out)
                       : other_type(len, "jsonb", e);
    case TYPE_TEXT_ARRAY:
    case TYPE_BIGINT_ARRAY:
        return read_bytes(p, len, TM_LITERAL, a, out);
    default:
        return read_scalar(t, p, out, e);
    }
}

/* ---- for people ---- */

/* Group [at] of four digits, counted from the most significant one that the
 * value could have; without those in front of all. */
static void put_group(struct buf *out, const char *p, int at, int width)
{
    int n = get_u16(p);
    uint32_t digits = at >= 0 && at < n ? get_u16(p + 8 + 2 * at) : 0;

    buf_printf(out, "%0*u", width, digits);
}

static void put_fraction(struct buf *out, const char *p, int weight, int dscale)
{
    size_t from = out->len;
    int n = dscale < TOLD_DIGITS ? dscale : TOLD_DIGITS;

    for (int i = 0; i < n; i += 4) {
        put_group(out, p, weight + 1 + i / 4, 4);
    }
    out->len = from + (size_t)n;
    buf_puts(out, n < dscale ? "..." : "");
}

void encode_tell_numeric(const char *p, struct buf *out)
{
    int weight = (int16_t)get_u16(p + 2), dscale = get_u16(p + 6);
    int sign = get_u16(p + 4);
    int groups = weight < TOLD_DIGITS / 4 ? weight : TOLD_DIGITS / 4;

    if ((sign & NUMERIC_SPECIAL) && !(sign & NUMERIC_INFINITY)) {
        buf_puts(out, "NaN");
        return;
    }
    /* -Infinity is 0xf000, Infinity 0xd000. */
    buf_puts(out, sign == 0xf000 || sign == NUMERIC_NEGATIVE ? "-" : "");
    if (sign & NUMERIC_SPECIAL) {
        buf_puts(out, "Infinity");
        return;
    }
    put_group(out, p, weight < 0 ? -1 : 0, 1);
    for (int i = 1; i <= groups; i++) {
        put_group(out, p, i, 4);
    }
    if (groups < weight) {
        buf_puts(out, "...");
    } else if (dscale > 0) {
        buf_puts(out, ".");
        put_fraction(out, p, weight, dscale);
    }
}

void encode_split_stamp(const char *p, int64_t *days, int64_t *usec)
{
    const int64_t day = 86400 * 1000000LL;
    int64_t t = (int64_t)get_u64(p);

    *days = t / day - (t % day < 0);
    *usec = t - *days * day;
    *days += EPOCH_DAYS;
}

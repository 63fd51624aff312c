/* See number.h. Up to 18 bytes without an exponent, which is nearly every
 * number there is, are read in one pass; the rest is checked against the
 * grammar and then read as a decimal. */
#include "decode/json/number.h"

#include "model/decimal.h"

/* 18 nines fit 63 bits, 19 do not. */
enum { FAST_BYTES = 18 };

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && is_digit(*p)) {
        p++;
    }
    return p;
}

/* Behind at least one digit; NULL: there is none. */
static const char *need_digits(const char *p, const char *end)
{
    const char *behind = skip_digits(p, end);

    return behind == p ? NULL : behind;
}

/* Behind the longest number at [p]; NULL: there is none. */
static const char *scan(const char *p, const char *end)
{
    p += p < end && *p == '-';
    if (p < end && *p == '0') {
        p++;
    } else {
        p = need_digits(p, end);
    }
    if (p && p < end && *p == '.') {
        p = need_digits(p + 1, end);
    }
    if (p && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        p = need_digits(p, end);
    }
    return p;
}

static bool read_slow(const char *p, size_t len, struct arena *a,
                      struct tm_cell *out)
{
    const char *behind = scan(p, p + len);
    struct tm_dec d;

    if (behind != p + len) {
        return false;
    }
    if (tm_dec_parse(p, len, &d) < 0 || (*p == '-' && dec_get(&d) == 0)) {
        *out = (struct tm_cell){.p = p, .len = (uint32_t)len, .tag = TM_NUMBER};
        return true;
    }
    dec_to_cell(&d, a, out);
    if (out->tag == TM_DEC && out->scale == 0) {
        out->tag = TM_INT;
    }
    return true;
}

static inline const char *read_digits(const char *p, const char *end,
                                      uint64_t *m)
{
    for (; p < end && is_digit(*p); p++) {
        *m = *m * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

/* False: not this simple, which says nothing about the grammar. */
static inline bool read_fast(const char *p, const char *end,
                             struct tm_cell *out)
{
    bool is_negative = p < end && *p == '-';
    const char *start = p + is_negative;
    uint64_t m = 0;
    long scale = 0;

    if (end - start > FAST_BYTES) {
        return false;
    }
    p = read_digits(start, end, &m);
    if (p == start || (*start == '0' && p - start > 1)) {
        return false;
    }
    if (p < end && *p == '.') {
        const char *point = p;

        p = read_digits(p + 1, end, &m);
        scale = p - point - 1;
        if (scale == 0) {
            return false;
        }
    }
    if (p != end || (is_negative && m == 0)) {
        return false;
    }
    *out = (struct tm_cell){.i = is_negative ? -(int64_t)m : (int64_t)m,
                            .tag = scale ? TM_DEC : TM_INT,
                            .scale = (int8_t)scale};
    return true;
}

bool number_read(const char *p, size_t len, struct arena *a,
                 struct tm_cell *out)
{
    while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\n' ||
                       p[len - 1] == '\r' || p[len - 1] == '\t')) {
        len--;
    }
    return read_fast(p, p + len, out) || read_slow(p, len, a, out);
}

bool number_follows_grammar(const char *p, size_t len)
{
    return scan(p, p + len) == p + len;
}

bool number_read_int(const char *p, size_t len, int64_t *out)
{
    const char *end = p + len;
    bool is_negative = len > 0 && *p == '-';
    int64_t v = 0;

    p += len > 0 && (*p == '-' || *p == '+');
    if (p == end) {
        return false;
    }
    for (; p < end; p++) {
        if (!is_digit(*p) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, *p - '0', &v)) {
            return false; /* counted downwards: -2^63 has no positive twin */
        }
    }
    *out = v;
    return is_negative || !__builtin_sub_overflow(0, v, out);
}

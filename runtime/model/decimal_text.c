/* Decimals to and from text. See decimal.h. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/decimal.h"

typedef unsigned __int128 u128;

enum { FAILED = -1 };

/* Digits and at most one point. A zero in front costs no digit; zeros behind
 * the 38th digit are kept as *exponent. */
struct decimal_reading {
    dec_mantissa m;
    int scale;    /* digits seen after the point */
    int exponent; /* digits that were zeros and no longer fit */
    bool any;
    bool is_point_seen;
};

static bool read_digit(struct decimal_reading *r, int digit)
{
    r->any = true;
    r->scale += r->is_point_seen;
    if (r->exponent == 0 && r->m <= (dec_power(DEC_MAX_DIGITS) - 10) / 10) {
        r->m = r->m * 10 + digit;
        return true;
    }
    r->exponent++;
    return digit == 0;
}

static const char *read_mantissa(struct decimal_reading *r, const char *p,
                                 const char *end)
{
    for (; p < end; p++) {
        if (*p == '.' && !r->is_point_seen) {
            r->is_point_seen = true;
        } else if (*p < '0' || *p > '9') {
            return p;
        } else if (!read_digit(r, *p - '0')) {
            return NULL;
        }
    }
    return p;
}

/* "e+12" at [p]; NULL: no number follows. Huge ones stop at 9999. */
static const char *read_exponent(const char *p, const char *end, int *out)
{
    bool is_negative = false;
    int n = 0;
    const char *start;

    p++;
    if (p < end && (*p == '+' || *p == '-')) {
        is_negative = *p++ == '-';
    }
    start = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        n = n < 999 ? n * 10 + (*p - '0') : 9999;
    }
    *out = is_negative ? -n : n;
    return p == start ? NULL : p;
}

static inline bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int tm_dec_parse(const char *p, size_t len, struct tm_dec *out)
{
    const char *end = p + len;
    struct decimal_reading r = {0};
    bool is_negative = false;
    int exponent = 0;

    while (p < end && is_blank(*p)) {
        p++;
    }
    while (p < end && is_blank(end[-1])) {
        end--;
    }
    if (p < end && (*p == '+' || *p == '-')) {
        is_negative = *p++ == '-';
    }
    p = read_mantissa(&r, p, end);
    if (!p || !r.any) {
        return FAILED;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = read_exponent(p, end, &exponent);
    }
    if (p != end) {
        return FAILED;
    }
    return dec_make(is_negative ? -r.m : r.m, r.scale - r.exponent - exponent,
                    out);
}

/* Any 15 digits survive a double, but for the denormal ones. Two of them are
 * where rounding shows once numbers of like size have been subtracted:
 * 86548598.6 - 85688721 is 859877.599999994. */
enum { CERTAIN_DIGITS = DBL_DIG - 2 };

int dec_shortest(double d, char out[32], int *digits)
{
    int n = 0;

    for (*digits = fabs(d) < DBL_MIN ? 1 : CERTAIN_DIGITS; *digits <= 17;
         ++*digits) {
        n = snprintf(out, 32, "%.*g", *digits, d);
        if (strtod(out, NULL) == d) {
            break;
        }
    }
    return n;
}

bool dec_meant(double d, int scale, struct tm_dec *out)
{
    char text[32];

    if (d == trunc(d) || fabs(d) * pow(10, scale) >= pow(10, CERTAIN_DIGITS)) {
        return false;
    }
    int len = snprintf(text, sizeof(text), "%.15g", d);
    return tm_dec_parse(text, (size_t)len, out) == 0;
}

int tm_dec_from_double(double d, struct tm_dec *out)
{
    bool is_whole = d == trunc(d);
    char text[32];
    int digits;
    int n;

    if (!isfinite(d)) {
        return FAILED;
    }
    if (fabs(d) < 9007199254740992.0 && d == (double)(int64_t)d) {
        dec_set(out, (int64_t)d, 0);
        return 0;
    }
    n = dec_shortest(d, text, &digits);
    if (tm_dec_parse(text, (size_t)n, out) < 0) {
        return FAILED;
    }
    return is_whole || digits > CERTAIN_DIGITS;
}

/* The digits of [m] end in front of [end]; where they start. */
static char *put_digits(u128 m, char *end)
{
    while (m > UINT64_MAX) {
        *--end = (char)('0' + (int)(m % 10));
        m /= 10;
    }
    for (uint64_t low = (uint64_t)m; low > 0; low /= 10) {
        *--end = (char)('0' + low % 10);
    }
    return end;
}

int tm_dec_format(const struct tm_dec *d, char out[64])
{
    dec_mantissa m = dec_get(d);
    char digits[48];
    char *start = put_digits(dec_magnitude(m), digits + sizeof(digits));
    int n = (int)(digits + sizeof(digits) - start);
    int scale = d->scale > 0 ? d->scale : 0;
    int zeros = d->scale < 0 && m != 0 ? -d->scale : 0;
    int whole = n > scale ? n - scale : 0;
    char *to = out;

    if (scale > DEC_MAX_SCALE || n > DEC_MAX_DIGITS || n + zeros > 62) {
        return FAILED;
    }
    if (m < 0) {
        *to++ = '-';
    }
    memcpy(to, whole > 0 ? start : "0", whole > 0 ? (size_t)whole : 1);
    to += whole > 0 ? whole : 1;
    memset(to, '0', (size_t)zeros);
    to += zeros;
    if (scale > 0) {
        *to++ = '.';
        memset(to, '0', (size_t)scale);
        to += scale;
        memcpy(to - (n - whole), start + whole, (size_t)(n - whole));
    }
    *to = '\0';
    return (int)(to - out);
}

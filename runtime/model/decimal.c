/* See decimal.h and the tm_dec_* part of api.h.
 *
 * Every result is exact or refused: where the natural scale of a sum or a
 * product would need more than 38 digits, zeros after the point are dropped,
 * and only if that is not enough the call fails. */
#include "model/decimal.h"

#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 u128;

enum { FAILED = -1 };

static const uint64_t small_powers[] = {
    1ULL,
    10ULL,
    100ULL,
    1000ULL,
    10000ULL,
    100000ULL,
    1000000ULL,
    10000000ULL,
    100000000ULL,
    1000000000ULL,
    10000000000ULL,
    100000000000ULL,
    1000000000000ULL,
    10000000000000ULL,
    100000000000000ULL,
    1000000000000000ULL,
    10000000000000000ULL,
    100000000000000000ULL,
    1000000000000000000ULL,
    10000000000000000000ULL,
};

dec_mantissa dec_power(int n)
{
    return n <= 19 ? (dec_mantissa)small_powers[n]
                   : (dec_mantissa)small_powers[19] * small_powers[n - 19];
}

static inline bool is_small(dec_mantissa m)
{
    return m == (int64_t)m;
}

static inline bool in_range(dec_mantissa m)
{
    return dec_magnitude(m) < (u128)dec_power(DEC_MAX_DIGITS);
}

/* Number of digits; 0 has none. */
static int count_digits(u128 m)
{
    int n = 0;

    while (n < DEC_MAX_DIGITS && m >= (u128)dec_power(n)) {
        n++;
    }
    return n;
}

/* m * 10^n into *m; false: more than 38 digits. */
static bool scale_up(dec_mantissa *m, int n)
{
    if (*m == 0 || n == 0) {
        return true;
    }
    if (n >= DEC_MAX_DIGITS ||
        dec_magnitude(*m) >= (u128)dec_power(DEC_MAX_DIGITS - n)) {
        return false;
    }
    *m *= dec_power(n);
    return true;
}

/* Drops up to [most] zeros at the end; how many. Zero has any number. */
static int strip(dec_mantissa *m, int most)
{
    int n = 0;

    if (*m == 0) {
        return most;
    }
    while (n < most && *m % 10 == 0) {
        *m /= 10;
        n++;
    }
    return n;
}

int dec_make(dec_mantissa m, int scale, struct tm_dec *out)
{
    if (m == 0) {
        scale = scale < 0 ? 0 : scale > DEC_MAX_SCALE ? DEC_MAX_SCALE : scale;
    }
    if (scale > DEC_MAX_SCALE) {
        scale -= strip(&m, scale - DEC_MAX_SCALE);
    }
    if (scale < 0) {
        if (!scale_up(&m, -scale)) {
            return FAILED;
        }
        scale = 0;
    }
    if (scale > DEC_MAX_SCALE || !in_range(m)) {
        return FAILED;
    }
    dec_set(out, m, scale);
    return 0;
}

bool dec_fits(const struct tm_dec *d, int digits)
{
    return digits >= DEC_MAX_DIGITS ||
           dec_magnitude(dec_get(d)) < (u128)dec_power(digits);
}

bool dec_from_cell(const struct tm_cell *c, struct tm_dec *out)
{
    if (c->tag == TM_INT || c->tag == TM_DEC) {
        dec_set(out, c->i, c->tag == TM_DEC ? c->scale : 0);
        return true;
    }
    if (c->tag == TM_BIGDEC) {
        memcpy(out, c->p, sizeof(*out));
        return true;
    }
    return c->tag == TM_NUMBER && tm_dec_parse(c->p, c->len, out) == 0;
}

void dec_to_cell(const struct tm_dec *d, struct arena *a, struct tm_cell *out)
{
    dec_mantissa m = dec_get(d);

    *out = (struct tm_cell){.tag = TM_BIGDEC};
    if (is_small(m)) {
        out->tag = TM_DEC;
        out->i = (int64_t)m;
        out->scale = (int8_t)d->scale;
        return;
    }
    out->p = memcpy(arena_alloc(a, sizeof(*d)), d, sizeof(*d));
    out->len = sizeof(*d);
}

/* Of one scale. Two of 38 digits make 39 at most: the last may be a zero. */
static int sum(dec_mantissa a, dec_mantissa b, int scale, struct tm_dec *out)
{
    u128 total;

    if (is_small(a) && is_small(b)) {
        dec_set(out, a + b, scale);
        return 0;
    }
    if ((a < 0) != (b < 0)) {
        return dec_make(a + b, scale, out);
    }
    total = dec_magnitude(a) + dec_magnitude(b);
    if (total >= (u128)dec_power(DEC_MAX_DIGITS)) {
        if (scale == 0 || total % 10 != 0) {
            return FAILED;
        }
        total /= 10;
        scale--;
    }
    return dec_make(a < 0 ? -(dec_mantissa)total : (dec_mantissa)total, scale,
                    out);
}

/* Brings the finer one, at [scale], and the coarser one to one scale: [diff]
 * digits apart. The finer one's zeros are dropped where that must be. */
static bool align(dec_mantissa *fine, dec_mantissa *coarse, int diff,
                  int *scale)
{
    int n;

    if (scale_up(coarse, diff)) {
        return true;
    }
    n = strip(fine, diff);
    *scale -= n;
    return scale_up(coarse, diff - n);
}

static int add(const struct tm_dec *a, dec_mantissa mb, int scale_b,
               struct tm_dec *out)
{
    dec_mantissa ma = dec_get(a);
    int scale = a->scale > scale_b ? a->scale : scale_b;
    bool is_aligned = true;

    if (a->scale > scale_b) {
        is_aligned = align(&ma, &mb, a->scale - scale_b, &scale);
    } else if (a->scale < scale_b) {
        is_aligned = align(&mb, &ma, scale_b - a->scale, &scale);
    }
    return is_aligned ? sum(ma, mb, scale, out) : FAILED;
}

int tm_dec_add(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out)
{
    return add(a, dec_get(b), b->scale, out);
}

int tm_dec_sub(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out)
{
    return add(a, -dec_get(b), b->scale, out);
}

/* Takes factors of ten out of the product a * b before it is made. */
static int strip_product(dec_mantissa *a, dec_mantissa *b)
{
    int n = strip(a, DEC_MAX_DIGITS) + strip(b, DEC_MAX_DIGITS);

    for (;; n++) {
        if (*a % 2 == 0 && *b % 5 == 0) {
            *a /= 2;
            *b /= 5;
        } else if (*a % 5 == 0 && *b % 2 == 0) {
            *a /= 5;
            *b /= 2;
        } else {
            return n;
        }
    }
}

int tm_dec_mul(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out)
{
    dec_mantissa ma = dec_get(a);
    dec_mantissa mb = dec_get(b);
    dec_mantissa product;
    int scale = a->scale + b->scale;

    if (is_small(ma) && is_small(mb)) {
        return dec_make(ma * mb, scale, out);
    }
    if (ma == 0 || mb == 0) {
        return dec_make(0, scale, out);
    }
    if (__builtin_mul_overflow(ma, mb, &product) || !in_range(product)) {
        scale -= strip_product(&ma, &mb);
        if (__builtin_mul_overflow(ma, mb, &product)) {
            return FAILED;
        }
    }
    return dec_make(product, scale, out);
}

/* One more digit of a quotient: *rest becomes 10 * *rest mod d; the digit.
 * Ten times a rest may pass 128 bits, twice a rest may not. */
static unsigned next_digit(u128 *rest, u128 d)
{
    static const bool adds_rest[] = {false, false, true, false};
    u128 r = *rest;
    unsigned digit = 0;

    for (int i = 0; i < 4; i++) { /* 2r, 4r, 5r, 10r */
        r += adds_rest[i] ? *rest : r;
        digit = adds_rest[i] ? digit : digit * 2;
        if (r >= d) {
            r -= d;
            digit++;
        }
    }
    *rest = r;
    return digit;
}

/* n / d with [places] more digits, rounded half away from zero. */
static int divide_up(u128 n, u128 d, int places, u128 *out)
{
    u128 q;
    u128 rest;

    if (places < DEC_MAX_DIGITS &&
        n < (u128)dec_power(DEC_MAX_DIGITS - places)) {
        n *= (u128)dec_power(places); /* the common case: one division */
        places = 0;
    }
    q = n / d;
    rest = n % d;
    for (int i = 0; i < places; i++) {
        unsigned digit = next_digit(&rest, d);

        if (q > ((u128)dec_power(DEC_MAX_DIGITS) - 1 - digit) / 10) {
            return FAILED;
        }
        q = q * 10 + digit;
    }
    *out = q + (rest * 2 >= d);
    return 0;
}

/* m / 10^n, rounded half away from zero. */
static u128 round_off(u128 m, int n)
{
    u128 unit;

    if (n > DEC_MAX_DIGITS) {
        return 0;
    }
    unit = (u128)dec_power(n);
    return m / unit + (m % unit >= unit - m % unit);
}

int tm_dec_div(const struct tm_dec *a, const struct tm_dec *b, int scale,
               struct tm_dec *out)
{
    dec_mantissa ma = dec_get(a);
    dec_mantissa mb = dec_get(b);
    int places = scale + b->scale - a->scale;
    bool is_negative = (ma < 0) != (mb < 0);
    u128 q;

    if (mb == 0 || scale > DEC_MAX_SCALE || scale < -DEC_MAX_SCALE) {
        return FAILED;
    }
    if (places < 0) {
        q = round_off(dec_magnitude(ma) / dec_magnitude(mb), -places);
    } else if (divide_up(dec_magnitude(ma), dec_magnitude(mb), places, &q)) {
        return FAILED;
    }
    return dec_make(is_negative ? -(dec_mantissa)q : (dec_mantissa)q, scale,
                    out);
}

int tm_dec_mod(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out)
{
    dec_mantissa ma = dec_get(a);
    dec_mantissa mb = dec_get(b);
    int scale = a->scale > b->scale ? a->scale : b->scale;
    u128 divisor;
    u128 rest;

    if (mb == 0) {
        return FAILED;
    }
    if (!scale_up(&mb, scale - b->scale)) {
        /* More digits than [a] can have: it is the rest itself. */
        *out = *a;
        return ma == 0 || (ma < 0) == (mb < 0) ? 0 : tm_dec_add(a, b, out);
    }
    divisor = dec_magnitude(mb);
    rest = dec_magnitude(ma) % divisor;
    for (int i = a->scale; i < scale; i++) {
        next_digit(&rest, divisor);
    }
    if (rest != 0 && (ma < 0) != (mb < 0)) {
        rest = divisor - rest;
    }
    return dec_make(mb < 0 ? -(dec_mantissa)rest : (dec_mantissa)rest, scale,
                    out);
}

int tm_dec_round(const struct tm_dec *a, int scale, struct tm_dec *out)
{
    dec_mantissa m = dec_get(a);
    u128 rounded;

    if (scale > DEC_MAX_SCALE || scale < -DEC_MAX_SCALE) {
        return FAILED;
    }
    if (scale >= a->scale) {
        if (!scale_up(&m, scale - a->scale)) {
            return FAILED;
        }
        return dec_make(m, scale, out);
    }
    rounded = round_off(dec_magnitude(m), a->scale - scale);
    m = m < 0 ? -(dec_mantissa)rounded : (dec_mantissa)rounded;
    return dec_make(m, scale, out);
}

int tm_dec_compare(const struct tm_dec *a, const struct tm_dec *b)
{
    dec_mantissa ma = dec_get(a);
    dec_mantissa mb = dec_get(b);

    if (a->scale != b->scale && ma != 0 && mb != 0 && (ma < 0) == (mb < 0)) {
        int size_a = count_digits(dec_magnitude(ma)) - a->scale;
        int size_b = count_digits(dec_magnitude(mb)) - b->scale;

        if (size_a != size_b) {
            return (size_a > size_b) == (ma > 0) ? 1 : -1;
        }
        /* As many digits in front of the point: the shorter one, brought to
         * the scale of the other, has as many digits as that one. */
        ma *= a->scale < b->scale ? dec_power(b->scale - a->scale) : 1;
        mb *= b->scale < a->scale ? dec_power(a->scale - b->scale) : 1;
    }
    return (ma > mb) - (ma < mb);
}

void tm_sizes(uint32_t out[5])
{
    out[0] = sizeof(struct tm_cell);
    out[1] = sizeof(struct tm_dec);
    out[2] = sizeof(struct tm_batch);
    out[3] = sizeof(struct tm_rows);
    out[4] = TM_API_VERSION;
}

#pragma once
/*
 * Exact decimals on the C side: struct tm_dec as a 128 bit mantissa, and the
 * way between it and a cell. A decimal has at most 38 digits and its scale is
 * from 0 to DEC_MAX_SCALE, so that its text fits the 64 bytes that
 * tm_dec_format fills. The arithmetic is declared in model/api.h. Pure.
 */
#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/api.h"

enum { DEC_MAX_DIGITS = 38, DEC_MAX_SCALE = 60 };

typedef __int128 dec_mantissa;

static inline dec_mantissa dec_get(const struct tm_dec *d)
{
    return (dec_mantissa)((unsigned __int128)(uint64_t)d->hi << 64 | d->lo);
}

static inline void dec_set(struct tm_dec *d, dec_mantissa m, int scale)
{
    d->lo = (uint64_t)m;
    d->hi = (int64_t)(m >> 64);
    d->scale = scale;
}

static inline unsigned __int128 dec_magnitude(dec_mantissa m)
{
    return m < 0 ? -(unsigned __int128)m : (unsigned __int128)m;
}

/* m * 10^-scale for any scale, brought to 38 digits and a scale in range by
 * moving zeros only. 0, or negative: that cannot be. */
int dec_make(dec_mantissa m, int scale, struct tm_dec *out) MUSTCHECK;
/* TM_INT, TM_DEC, TM_BIGDEC, and a TM_NUMBER whose value a decimal holds; false
 * for any other. */
bool dec_from_cell(const struct tm_cell *c, struct tm_dec *out) MUSTCHECK;
/* TM_DEC when the mantissa fits 64 bits, else TM_BIGDEC in the arena. */
void dec_to_cell(const struct tm_dec *d, struct arena *a, struct tm_cell *out);
/* 10^n for n in 0..38. */
dec_mantissa dec_power(int n);
/* The shortest text that reads back as the same double; its length. [digits]:
 * how many it may have, 13 to 17, or fewer below DBL_MIN. */
int dec_shortest(double d, char out[32], int *digits);
/* A fraction that arithmetic has rounded, as it would be without that: good for
 * rounding to [scale] digits after the point. False: so many are not certain. */
bool dec_meant(double d, int scale, struct tm_dec *out);
/* Has the value, at its scale, no more than [digits] digits? */
bool dec_fits(const struct tm_dec *d, int digits);

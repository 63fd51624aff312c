#pragma once
/* JSON's number grammar: from a raw token to the cell that holds exactly what
 * was written. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/api.h"

/*
 * TM_INT for whole numbers that fit 64 bits, also '1e2'; TM_DEC and TM_BIGDEC
 * for all else within 38 digits, with as many digits after the point as were
 * written ('1.50' has two); TM_NUMBER, borrowed from [p], beyond that and for a
 * zero with a minus, which double precision keeps. Blanks may follow. False:
 * not a JSON number.
 */
bool number_read(const char *p, size_t len, struct arena *a,
                 struct tm_cell *out) MUSTCHECK;
/* Is it a JSON number, with nothing around it? */
bool number_follows_grammar(const char *p, size_t len);

/* Eight digits at once: adding 6 to a digit leaves its upper half a 3. */
static inline bool number_has_digits(const char *p)
{
    const uint64_t upper = 0xf0f0f0f0f0f0f0f0;
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return ((v & upper) | (((v + 0x0606060606060606) & upper) >> 4)) ==
           0x3333333333333333;
}

/* The same. Nearly all numbers are whole and positive: those are looked at
 * here, long ones in parts that may overlap. */
static inline bool number_is(const char *p, size_t len)
{
    size_t i = 0;

    if (*p == '0' || len > 24) {
        return number_follows_grammar(p, len);
    }
    if (len >= 8 && number_has_digits(p) && number_has_digits(p + len - 8) &&
        (len <= 16 || number_has_digits(p + 8))) {
        return true;
    }
    while (i < len && len < 8 && (unsigned char)(p[i] - '0') < 10) {
        i++;
    }
    return i == len || number_follows_grammar(p, len);
}
/* A whole number in decimal digits, nothing around it, that fits 64 bits. */
bool number_read_int(const char *p, size_t len, int64_t *out) MUSTCHECK;

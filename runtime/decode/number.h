#pragma once
/* JSON's number grammar: from a raw token to the cell that holds exactly what
 * was written. Pure. */
#include <stdbool.h>
#include <stddef.h>

#include "base/api.h"
#include "base/arena.h"

/*
 * TM_INT for whole numbers that fit 64 bits, also '1e2'; TM_DEC and TM_BIGDEC
 * for all else within 38 digits, with as many digits behind the point as were
 * written ('1.50' has two); TM_NUMBER, borrowed from [p], beyond that and for a
 * zero with a minus, which double precision keeps. Blanks may follow. False:
 * not a JSON number.
 */
bool number_read(const char *p, size_t len, struct arena *a,
                 struct tm_cell *out);
/* A whole number in decimal digits, nothing around it, that fits 64 bits. */
bool number_read_int(const char *p, size_t len, int64_t *out);

#pragma once
/*
 * Words about a row of the table that holds what no cell can (encode_read):
 * which column of which row, the value as PostgreSQL prints it, and what to do.
 */
#include "flow/rows/rows.h"

/* [p]: the value of [column] on the wire; [why]: why it cannot be. Arena. */
const char *unheld_words(const struct rows *r, uint32_t row, uint32_t column,
                         const char *p, const struct err *why);

#pragma once
/* Values whose meaning only the schema tells (decimals as bytes, times in
 * micro- and nanoseconds), made what they would be without one: decimals,
 * and milliseconds. Exact; what cannot be held exactly fails the record. */
#include "base/err.h"
#include "decode/json/schema.h"
#include "decode/json/walk.h"

/* The cell of [node], a direct field of the row, was just read from the
 * structural [first]. */
bool logical_apply(struct walk *w, struct schema_row *row, int node,
                   uint32_t first);
/* The same for a field by name, whose value is in [c]. */
bool logical_apply_named(struct walk *w, const struct schema_row *row,
                         const char *name, uint32_t len, uint32_t first,
                         struct tm_cell *c) MUSTCHECK;
/* The same for a time of a field by name; [row] NULL: no schema. */
void logical_time(const struct schema_row *row, const char *name,
                  struct tm_cell *c);

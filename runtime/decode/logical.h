#pragma once
/* Values whose meaning only the schema tells (decimals as bytes, times in
 * micro- and nanoseconds), made what they would be without one: decimals,
 * and milliseconds. Exact; what cannot be held exactly fails the record. */
#include "decode/schema.h"
#include "decode/walk.h"

/* The cell of [node], a direct field of the row, was just read from the
 * structural [first]. */
bool logical_apply(struct walk *w, struct schema_row *row, int node,
                   uint32_t first);
/* The same for a time of a field by name; [row] NULL: no schema. */
void logical_time(const struct schema_row *row, const char *name,
                  struct tm_cell *c);

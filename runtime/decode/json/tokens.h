#pragma once
/*
 * A whole JSON value as a flat list of cells in document order; see tm_json()
 * in model/api.h for its shape. Everything is checked. For values that scripts
 * walk through, and for schemas; never for fields of every event.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/api.h"

struct json_index;

/* False: not JSON. Cells and unescaped texts come from the arena, other texts
 * point into [json]. */
bool tokens_read(struct json_index *x, struct arena *a, const char *json,
                 size_t len, const struct tm_cell **out, uint32_t *n) MUSTCHECK;
/* The first token behind this value. */
const struct tm_cell *tokens_behind(const struct tm_cell *value);
/* The last member of that name; NULL: none, or not an object. */
const struct tm_cell *tokens_member(const struct tm_cell *object,
                                    const char *name);

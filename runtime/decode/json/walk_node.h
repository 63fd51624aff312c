#pragma once
/* A walk that leaves the value of each wanted field in that field's column. */
#include "base/err.h"
#include "decode/json/schema.h"
#include "decode/json/walk.h"

/*
 * The value of [node] and of everything wanted below it. [row] says which
 * direct fields of it have a logical type; NULL: no schema.
 */
bool walk_node(struct walk *w, int node, struct schema_row *row) MUSTCHECK;
/* Makes the cells of everything wanted below [node] missing. */
void walk_clear(struct walk *w, int node);

#pragma once
/* What must hold whatever the input is; must() ends the process where it does
 * not. */
#include "base/arena.h"
#include "decode/value/convert.h"
#include "model/api.h"
#include "model/type.h"

/* A cell as the decoder makes it: its bytes are there, texts are UTF-8,
 * numbers in range. */
void oracle_cell(const struct tm_cell *c);
/* The same kind of value with the same bytes. */
bool oracle_is_same(const struct tm_cell *a, const struct tm_cell *b);
/* The text of a message for the user: UTF-8, and not empty. */
void oracle_message(const char *text);
/*
 * Into a column of every type: refused with a reason, or a value that prints,
 * that converts to itself, and that is the same after a way through
 * PostgreSQL's binary format.
 */
void oracle_columns(const struct tm_cell *c, const struct convert_rules *rules,
                    struct arena *a);
/* The last of these for a cell that is of the type already. */
void oracle_travels(const struct coltype *t, const struct tm_cell *c,
                    struct arena *a);
/* The nth of the column types, which are tried in a circle. */
struct coltype oracle_type(unsigned n);

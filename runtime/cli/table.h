#pragma once
/*
 * A table on a terminal: columns as wide as what stands in them, two blanks
 * apart; the last one is cut so that a line fits the terminal (COLUMNS, if that is
 * set), but for 24 columns that it may always have. Where stdout is no terminal
 * nothing is cut or folded. Bytes that would move the cursor or change
 * colours are shown as dots: keys and messages come from outside.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum { TABLE_COLUMNS = 10, TABLE_WIDTH = 100 /* of prose */ };

struct table_column {
    const char *title;
    bool is_number; /* to the right */
};

struct table {
    const struct table_column *columns; /* borrowed */
    uint32_t n_columns;
    uint32_t width[TABLE_COLUMNS];
    struct buf cells; /* each a text with a NUL, row by row; a row may have a
                         note behind it, which begins with '\n' */
};

void table_init(struct table *t, const struct table_column *columns,
                uint32_t n);
void table_close(struct table *t);
/* The next cell; NULL is "-". */
void table_text(struct table *t, const char *text);
/* The same; of a wider text the first characters, and "...". [columns]: at least 3. */
void table_text_cut(struct table *t, const char *text, uint32_t columns);
void table_int(struct table *t, int64_t n);
/* A text below the row that was just filled, indented and folded. */
void table_note(struct table *t, const char *text);
void table_print(const struct table *t);

/* [len] bytes as they may stand on a terminal, in one line. */
void printable(struct buf *out, const char *p, size_t len);
/* A printable text in lines of at most 100 columns, or as the terminal has; all but the first are
 * indented, the first stands behind so many already. */
void put_folded(struct buf *out, const char *text, int indent);

/* See table.h. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/utf8.h"

enum {
    NOTE_INDENT = 4,
    LEAST_LAST = 24,
    LEAST_WIDTH = 40,
    WHOLE = 1 << 30 /* nothing is cut */
};

void printable(struct buf *out, const char *p, size_t len)
{
    bool is_seen;

    for (size_t n; len > 0; p += n, len -= n) {
        n = utf8_next(p, len, &is_seen);
        buf_put(out, is_seen ? p : ".", is_seen ? n : 1);
    }
}

/* The cells are clean: each character is valid. */
static uint32_t width_of(const char *text)
{
    uint32_t width = 0;
    for (size_t n; *text != '\0'; text += n) {
        n = utf8_length(text, strlen(text));
        n = n > 0 ? n : 1;
        width += utf8_columns(utf8_code(text, n));
    }
    return width;
}

/* Bytes of the first characters that have room in [columns], with those that
 * stand on the last. */
static int bytes_of(const char *text, uint32_t columns)
{
    const char *p = text;
    uint32_t width = 0;
    for (size_t n; *p != '\0'; p += n) {
        n = utf8_length(p, strlen(p));
        n = n > 0 ? n : 1;
        width += utf8_columns(utf8_code(p, n));
        if (width > columns) {
            break;
        }
    }
    return (int)(p - text);
}

/* What may stand in a line of a table. COLUMNS goes before what the terminal says;
 * whoever reads a pipe or a file gets all of it. */
static uint32_t line_width(void)
{
    const char *text = getenv("COLUMNS");
    unsigned long n = text ? strtoul(text, NULL, 10) : 0;
    struct winsize size;
    if (!isatty(STDOUT_FILENO)) {
        return WHOLE;
    }
    if (n >= LEAST_WIDTH && n < WHOLE) {
        return (uint32_t)n;
    }
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col > LEAST_WIDTH ? size.ws_col : LEAST_WIDTH;
    }
    return TABLE_WIDTH;
}

void table_init(struct table *t, const struct table_column *columns, uint32_t n)
{
    *t = (struct table){.columns = columns, .n_columns = n};
    for (uint32_t i = 0; i < n; i++) {
        t->width[i] = width_of(columns[i].title);
    }
}

void table_close(struct table *t)
{
    buf_close(&t->cells);
}

void table_text(struct table *t, const char *text)
{
    printable(&t->cells, text != NULL ? text : "-",
              text != NULL ? strlen(text) : 1);
    buf_put(&t->cells, "", 1);
}

void table_text_cut(struct table *t, const char *text, uint32_t columns)
{
    size_t from = t->cells.len;

    table_text(t, text);
    if (width_of(t->cells.data + from) > columns) {
        t->cells.len =
            from + (size_t)bytes_of(t->cells.data + from, columns - 3);
        buf_put(&t->cells, "...", sizeof("..."));
    }
}

void table_int(struct table *t, int64_t n)
{
    buf_printf(&t->cells, "%" PRId64, n);
    buf_put(&t->cells, "", 1);
}

void table_note(struct table *t, const char *text)
{
    buf_put(&t->cells, "\n", 1);
    printable(&t->cells, text, strlen(text));
    buf_put(&t->cells, "", 1);
}

static void measure(const struct table *t, uint32_t *width)
{
    uint32_t column = 0;
    memcpy(width, t->width, sizeof(t->width));
    const char *end = t->cells.data + t->cells.len;
    for (const char *p = t->cells.data; p < end; p += strlen(p) + 1) {
        if (*p == '\n') {
            continue;
        }
        uint32_t n = width_of(p);
        width[column] = n > width[column] ? n : width[column];
        column = (column + 1) % t->n_columns;
    }
}

/* The last column has what the others leave of the line. */
static void print_last(const char *text, uint32_t before)
{
    uint32_t line = line_width();
    uint32_t room = before + LEAST_LAST > line ? LEAST_LAST : line - before;
    if (width_of(text) <= room) {
        puts(text);
    } else {
        printf("%.*s...\n", bytes_of(text, room - 3), text);
    }
}

static void print_cell(const struct table *t, uint32_t column, const char *text,
                       const uint32_t *width)
{
    uint32_t before = 0;
    int pad = (int)(width[column] - width_of(text));
    for (uint32_t i = 0; i < column; i++) {
        before += width[i] + 2;
    }
    fputs(column == 0 ? "" : "  ", stdout);
    if (column + 1 == t->n_columns) {
        print_last(text, before);
    } else if (t->columns[column].is_number) {
        printf("%*s%s", pad, "", text);
    } else {
        printf("%s%*s", text, pad, "");
    }
}

/* Where the line ends that begins at [p]: at a blank, if there is one. */
static const char *line_end(const char *p, uint32_t room)
{
    const char *end = p + bytes_of(p, room);
    if (*end == '\0') {
        return end;
    }
    for (const char *q = end; q > p; q--) {
        if (*q == ' ') {
            return q;
        }
    }
    return end;
}

static void fold(struct buf *out, const char *text, int indent, uint32_t width)
{
    uint32_t room = width - (uint32_t)indent;
    while (*text != '\0') {
        const char *end = line_end(text, room);
        buf_put(out, text, (size_t)(end - text));
        text = end + strspn(end, " ");
        if (*text != '\0') {
            buf_printf(out, "\n%*s", indent, "");
        }
    }
}

void put_folded(struct buf *out, const char *text, int indent)
{
    uint32_t width = line_width();
    fold(out, text, indent, width < TABLE_WIDTH ? width : TABLE_WIDTH);
}

static void print_note(const char *text)
{
    struct buf out = {0};
    fold(&out, text, NOTE_INDENT, line_width());
    printf("%*s%s\n", NOTE_INDENT, "", buf_text(&out));
    buf_close(&out);
}

void table_print(const struct table *t)
{
    uint32_t width[TABLE_COLUMNS], column = 0;
    const char *end = t->cells.data + t->cells.len;
    measure(t, width);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        print_cell(t, i, t->columns[i].title, width);
    }
    for (const char *p = t->cells.data; p < end; p += strlen(p) + 1) {
        if (*p == '\n') {
            print_note(p + 1);
            continue;
        }
        print_cell(t, column, p, width);
        column = (column + 1) % t->n_columns;
    }
}

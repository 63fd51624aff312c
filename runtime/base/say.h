#pragma once
/*
 * What a verb prints for the person who typed it. It passes utf8_clean(), since
 * it holds names, keys and messages of others: no text of a record, a table or a
 * file name can move the cursor or reverse a line.
 */
#include <stdarg.h>
#include <stdint.h>

/* To stdout, in its buffer. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* To stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "; did you mean 'x'?" to stderr; NULL: nothing. */
void complain_near(const char *near);
void complain_v(const char *format, va_list args)
    __attribute__((format(printf, 1, 0)));

/* From here on both go there instead; NULL: no longer. */
struct buf;
void say_into(struct buf *sink);

/* Behind a noun that is counted: "" or "s". */
const char *plural(int64_t n);

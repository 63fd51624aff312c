#pragma once
/*
 * logfmt lines on stderr: `ts=... level=... msg="..." key=value`. One line a
 * happening, never one an event. The level and the worker's name are the only
 * process-wide state here; they are set once, at start, and in each child.
 * A line that nobody takes is lost rather than waited for (stderr.h), and how
 * many were is the first line that is taken again.
 */
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_setup(enum log_level least, const char *who);
/*
 * [fields] is printf-formatted and already logfmt (`lane=%s/%d offset=%lld`),
 * or NULL. Values with blanks are the caller's to quote, with log_quote().
 */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
/* [s] in double quotes with quotes, backslashes and control bytes escaped;
 * points into a ring of eight static buffers. */
const char *log_quote(const char *s);

/* [text] is another one than was said last of something that is tried again and
 * again, or that was ten minutes ago: it is to be said, and counts as said.
 * [told]: what that was, and when; {0, 0}: nothing. */
bool log_is_news(uint64_t told[2], const char *text);

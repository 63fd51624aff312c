#pragma once
/*
 * logfmt lines on stderr: `ts=... level=... msg="..." key=value`. One line for
 * each thing that happens, never one for each event. The level and the
 * worker's name are the only process-wide state here; they are set once, at
 * start, and in each child. When nothing reads stderr a line is dropped instead
 * of waited for (stderr.h); the next line that is read says how many were.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum { LOG_LEVELS = LOG_ERROR + 1 };
extern const char *const log_level_names[LOG_LEVELS];

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

/* What was said last of something that is tried again and again, and when; 0 as
 * [at]: nothing, or what is said next is news however it reads. */
struct said {
    uint64_t what;
    uint64_t at;
};
/* [text] is another one, or was said ten minutes ago: it is to be said, and counts
 * as said. */
bool log_once(struct said *s, const char *text) MUSTCHECK;

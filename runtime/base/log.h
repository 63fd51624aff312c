#pragma once
/*
 * The log on stderr: logfmt lines (`ts=... level=... msg="..." key=value`), or one
 * JSON object a line (log_json.h). One line for each thing that happens, never
 * one for each event. Where the journal reads stderr each line has its level in
 * front of it ("<3>").
 *
 * Process-wide state: the settings, the names of the process and its pipeline.
 * They are set once, at start, and the names in each child. When nothing reads
 * stderr a line is dropped instead of waited for (stderr.h); the next line that
 * is read says how many were.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum { LOG_LEVELS = LOG_ERROR + 1 };
extern const char *const log_level_names[LOG_LEVELS];

/* Reads TIDEMILL_LOG, TIDEMILL_LOG_FORMAT and TIDEMILL_LOG_PREFIX. False: one of
 * them is none of its words, and [e] says which. */
bool log_read_settings(struct err *e) MUSTCHECK;
/* The process writes a log from now on, as "worker-N" or another name. */
void log_setup(const char *who);
/* What the lines of JSON say that they are of. */
void log_of_pipeline(const char *name);
bool log_is_json(void);
/*
 * [fields] is printf-formatted and already logfmt (`lane=%s/%d offset=%lld`),
 * or NULL. Values with blanks are the caller's to quote, with log_quote().
 */
void log_line(enum log_level level, const char *msg, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * What a verb says on stderr to whoever typed it, perhaps in parts: as it is, or
 * with a level in front of each line; as JSON all parts up to a line end at the
 * end of one, in one object.
 */
void log_complain(const char *text);
/* Is it one whole line of our JSON, as far as ends and front tell, perhaps with its
 * level? */
bool log_is_line(const char *line, size_t len);
/* A line that is none of ours, without its end, of a process of ours. */
void log_foreign(const char *line, size_t len);
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

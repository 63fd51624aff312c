#pragma once
/*
 * The error value. A function that can fail returns bool and takes a
 * struct err *, which it fills exactly when it returns false. Functions that
 * pass an error up do not log it; the one that handles it logs it, once. What
 * happens next depends on the class alone: the text is for people, and never
 * parsed.
 */
#include <stdbool.h>

#define MUSTCHECK __attribute__((warn_unused_result))

enum err_class {
    ERR_NONE,
    ERR_CONFLICT,   /* another writer won: do it again at once */
    ERR_RESOURCE,   /* the server lacks something for now: back off */
    ERR_CONNECTION, /* no connection, or it was lost: reconnect, back off */
    ERR_SERVER,     /* wrong server (read-only, standby): drop connection */
    ERR_FENCED,     /* another owner claimed the lane, or the position moved */
    ERR_DATA,       /* a record's values: isolate the record */
    ERR_SCRIPT,     /* a handler raised: a failure of its record */
    ERR_SCHEMA,     /* tables, columns, damage: halt */
    ERR_CONFIG,     /* settings, privileges, credentials: halt */
    ERR_FATAL       /* this process cannot go on */
};
enum { ERR_CLASSES = ERR_FATAL + 1 };

struct err {
    enum err_class class;
    char sqlstate[6]; /* "" when the database had no part in it */
    bool is_right;    /* the role lacks a right on a table, a function or the
                         like: no record caused it */
    char text[700];   /* what, where, what to do; no trailing newline; always
                         UTF-8, whatever it was made from */
};

/* Fills [e]; always returns false, for `return err_set(...)`. */
bool err_set(struct err *e, enum err_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " in front of the text; always returns false. */
bool err_wrap(struct err *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *err_class_name(enum err_class class);

/* For a result that is not needed where it is given; a comment says why. */
static inline void err_ignore(bool ok)
{
    (void)ok;
}

/* A bug, not a condition: aborts in every build, naming file and line. */
/* Writes the last line of a process that aborts, as log_line() writes one:
 * log.c takes it over, once it has its settings. */
extern void (*err_last_words)(const char *msg, const char *fields, ...)
    __attribute__((format(printf, 2, 3)));
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))
_Noreturn void must_failed(const char *cond, const char *file, int line);

/* A table has an entry for each value of an enum; `make lint` looks for gaps. */
#define EACH(table, n)                                                         \
    _Static_assert(sizeof(table) / sizeof(*(table)) == (n), "one for each")

/* A build with AddressSanitizer also looks at what a release has no time for. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define IS_DEBUG 1
#else
#define IS_DEBUG 0
#endif

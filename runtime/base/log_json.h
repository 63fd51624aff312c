#pragma once
/*
 * A line of the log as one JSON object, made of the same message and fields as
 * the logfmt line: see log.h. Valid whatever bytes are in them: what is no UTF-8
 * becomes U+FFFD, and line ends are escaped. No memory is allocated.
 */
#include <stdarg.h>
#include <stddef.h>

struct log_head {
    const char *time; /* RFC 3339, in UTC */
    const char *level;
    const char *process;  /* "supervisor", "worker-0", "tidemill" */
    const char *pipeline; /* "": not known */
    int worker;           /* slot; -1: it is none */
    int pid;
};

/* How each begins. */
#define LOG_JSON_FRONT "{\"time\":\""

/* LEAST: room for the head. */
enum { LOG_JSON_LEAST = 1024 };

/*
 * Writes the object to out[cap] without a line end; its length. [fields] is the
 * format of the logfmt line or NULL: its conversions say what is a number. Of
 * lane=TOPIC/PARTITION come two members, `error` and `why` are both "reason", and
 * a `pid` is that of the worker that is spoken of. What does not fit is cut.
 */
size_t log_json(char *out, size_t cap, const struct log_head *h,
                const char *msg, const char *fields, va_list args)
    __attribute__((format(printf, 5, 0)));

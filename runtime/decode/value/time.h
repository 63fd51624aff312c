#pragma once
/*
 * Dates and times of ISO 8601 in the extended form, as Debezium, PostgreSQL
 * and JavaScript write them: '2026-11-23', '19:00:00.123456', both joined by
 * 'T' or a blank, with 'Z' or an offset. Exact to the microsecond; digits
 * beyond are rounded half away from zero, as PostgreSQL does. Proleptic
 * Gregorian calendar, years 0001 to 294246: beyond that microseconds since
 * 1970 pass 64 bits. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* TIME_MIN_DAY: 0001-01-01; TIME_MAX_DAY: 294246-12-31. */
enum { TIME_MIN_DAY = -719162, TIME_MAX_DAY = 106751981 };
#define TIME_DAY_USEC ((int64_t)86400 * 1000000)

enum time_zone { TIME_NO_ZONE, TIME_UTC, TIME_OFFSET };

struct time_parts {
    int64_t days;       /* since 1970-01-01 */
    int64_t usec;       /* since midnight; 24:00:00 is allowed */
    int32_t offset_sec; /* east of Greenwich */
    enum time_zone zone;
    int infinity; /* of a date or stamp: 1 or -1, and nothing else is set */
};

/* Each fills its part of [out]. NULL, or what is wrong, to stand behind
 * "text '...' ". */
const char *time_read_date(const char *p, size_t len, struct time_parts *out);
const char *time_read_clock(const char *p, size_t len, struct time_parts *out);
/* A date, or a date and a clock time. */
const char *time_read_stamp(const char *p, size_t len, struct time_parts *out);

/* Their text without a NUL, into room for 40 bytes; its length. A fraction is
 * printed as far as it is not zero. */
size_t time_put_date(int64_t days, char *out);
size_t time_put_clock(int64_t usec, char *out);
/* Since 1970-01-01, with a 'T' in the middle and no zone. */
size_t time_put_stamp(int64_t usec, char *out);

#pragma once
/*
 * Words of a verb to the person who typed it. Names, keys and messages of others
 * are among them, so they pass utf8_clean(): nothing that stands in a record, a
 * table or a file name moves a cursor or turns a line around.
 */
#include <stdarg.h>

/* To stdout, in its buffer. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* To stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
void complain_v(const char *format, va_list args)
    __attribute__((format(printf, 1, 0)));

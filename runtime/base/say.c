/* See say.h. */
#include "base/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/utf8.h"

static struct buf *sink; /* NULL: the terminal */

void say_into(struct buf *to)
{
    sink = to;
}

static char *clean(const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0) {
        return NULL; /* no memory for words about anything */
    }
    utf8_clean(text);
    return text;
}

void say(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = clean(format, args);
    va_end(args);
    if (sink) {
        buf_puts(sink, text ? text : "");
    } else {
        fputs(text ? text : "", stdout);
    }
    free(text);
}

void complain_v(const char *format, va_list args)
{
    char *text = clean(format, args);

    if (sink) {
        buf_puts(sink, text ? text : "");
    } else {
        log_complain(text ? text : "");
    }
    free(text);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_v(format, args);
    va_end(args);
}

void complain_near(const char *near)
{
    if (near) {
        complain("; did you mean '%s'?", near);
    }
}

const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

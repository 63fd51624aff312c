/* See say.h. */
#include "base/say.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

static void put(FILE *to, const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0) {
        return; /* no memory for words about anything */
    }
    utf8_clean(text);
    fputs(text, to);
    free(text);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put(stdout, format, args);
    va_end(args);
}

void complain_v(const char *format, va_list args)
{
    put(stderr, format, args);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain_v(format, args);
    va_end(args);
}

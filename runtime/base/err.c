/* See err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stderr.h"
#include "base/utf8.h"

static const char *const names[] = {
    [ERR_NONE] = "none",         [ERR_CONFLICT] = "conflict",
    [ERR_RESOURCE] = "resource", [ERR_CONNECTION] = "connection",
    [ERR_SERVER] = "server",     [ERR_FENCED] = "fenced",
    [ERR_DATA] = "data",         [ERR_SCRIPT] = "script",
    [ERR_SCHEMA] = "schema",     [ERR_CONFIG] = "config",
    [ERR_FATAL] = "fatal",
};
EACH(names, ERR_CLASSES);

bool err_set(struct err *e, enum err_class class, const char *format, ...)
{
    char text[sizeof(e->text)]; /* an argument may be e->text itself */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    utf8_clean(text);
    e->class = class;
    e->sqlstate[0] = '\0';
    e->is_right = false;
    memcpy(e->text, text, sizeof(text));
    return false;
}

bool err_wrap(struct err *e, const char *format, ...)
{
    char old[sizeof(e->text)];
    va_list args;
    size_t len;

    memcpy(old, e->text, sizeof(old));
    va_start(args, format);
    vsnprintf(e->text, sizeof(e->text), format, args);
    va_end(args);
    len = strlen(e->text);
    snprintf(e->text + len, sizeof(e->text) - len, ": %.*s",
             (int)sizeof(old) - 1, old);
    utf8_clean(e->text);
    return false;
}

const char *err_class_name(enum err_class class)
{
    return (size_t) class < ERR_CLASSES ? names[class] : "unknown";
}

static void __attribute__((format(printf, 2, 3)))
write_last(const char *msg, const char *fields, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof(text) / 2, "level=error msg=\"%s\" ", msg);
    va_list args;

    va_start(args, fields);
    vsnprintf(text + n, sizeof(text) / 2, fields, args);
    va_end(args);
    n = (int)strlen(text);
    text[n] = '\n';
    stderr_write(text, (size_t)n + 1);
}

void (*err_last_words)(const char *msg, const char *fields, ...) = write_last;

void must_failed(const char *cond, const char *file, int line)
{
    char text[256];

    snprintf(text, sizeof(text), "bug: %s does not hold", cond);
    err_last_words(text, "at=%s:%d", file, line);
    abort();
}

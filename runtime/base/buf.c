/* See buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

enum { CAP_MIN = 256 };

void buf_close(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t n)
{
    size_t cap = b->cap < CAP_MIN ? CAP_MIN : b->cap;

    if (n <= b->cap - b->len) {
        return;
    }
    while (cap - b->len < n) {
        cap *= 2;
    }
    b->data = mem_grow(b->data, cap);
    b->cap = cap;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0) {
        return;
    }
    buf_reserve(b, n);
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    buf_reserve(b, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(b->data + b->len, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buf_words(struct buf *b, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i == 0 ? "" : i + 1 == n ? " or " : ", ");
        buf_puts(b, words[i]);
    }
}

char *buf_text(struct buf *b)
{
    buf_reserve(b, 1);
    b->data[b->len] = '\0';
    return b->data;
}

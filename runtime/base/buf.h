#pragma once
/* A growing byte buffer, reused from batch to batch. Never shrinks. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *data; /* owned */
    size_t len;
    size_t cap;
};

void buf_close(struct buf *b);
/* Room for [n] more bytes behind data + len. */
void buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "a, b or c". */
void buf_words(struct buf *b, const char *const *words, size_t n);
/* Ends the content with a NUL that len does not count; returns data. */
char *buf_text(struct buf *b);

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}
/* Big-endian, as PostgreSQL's binary format wants; room must be reserved. */
static inline void buf_u32(struct buf *b, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(b->data + b->len, &v, 4);
    b->len += 4;
}
static inline void buf_u16(struct buf *b, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(b->data + b->len, &v, 2);
    b->len += 2;
}
static inline void buf_u64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(b->data + b->len, &v, 8);
    b->len += 8;
}

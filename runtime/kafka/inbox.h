#pragma once
/*
 * The ring of messages of one partition, in offset order. A message is freed
 * exactly once: by inbox_drop, or by the pump when it was never pushed.
 */
#include <stdint.h>

/* Messages of one partition that are not yet known to be committed, in order. */
struct inbox {
    void **messages; /* owned ring of librdkafka messages */
    uint32_t cap;    /* a power of two */
    uint32_t head;
    uint32_t count;
    uint64_t bytes; /* keys and values */
};

/* What a message is taken to cost over its key and value: librdkafka's own
 * bookkeeping. Only the cap counts it. */
enum { INBOX_MESSAGE_BYTES = 200 };

/* [message]: owned from now on; [bytes]: of key and value. */
void inbox_push(struct inbox *b, void *message, uint64_t bytes);
/* Frees the first [n] messages. */
void inbox_drop(struct inbox *b, uint32_t n);
/* Frees everything. */
void inbox_close(struct inbox *b);

static inline void *inbox_at(const struct inbox *b, uint32_t at)
{
    return b->messages[(b->head + at) & (b->cap - 1)];
}
/* What the inbox counts against the cap. */
static inline uint64_t inbox_cost(const struct inbox *b)
{
    return b->bytes + (uint64_t)b->count * INBOX_MESSAGE_BYTES;
}

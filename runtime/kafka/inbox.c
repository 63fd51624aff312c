/* See inbox.h. */
#include "kafka/inbox.h"

#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

enum { FIRST_CAP = 256 };

/* The ring unrolled into one twice as large, so that head starts at 0. */
static void grow(struct inbox *b)
{
    uint32_t cap = b->cap ? b->cap * 2 : FIRST_CAP;
    void **wider = mem_alloc(cap * sizeof(*wider));

    for (uint32_t i = 0; i < b->count; i++) {
        wider[i] = inbox_at(b, i);
    }
    free(b->messages);
    b->messages = wider;
    b->cap = cap;
    b->head = 0;
}

void inbox_push(struct inbox *b, void *message, uint64_t bytes)
{
    if (b->count == b->cap) {
        grow(b);
    }
    b->messages[(b->head + b->count) & (b->cap - 1)] = message;
    b->count++;
    b->bytes += bytes;
}

void inbox_drop(struct inbox *b, uint32_t n)
{
    must(n <= b->count);
    for (uint32_t i = 0; i < n; i++) {
        rd_kafka_message_t *m = inbox_at(b, i);

        b->bytes -= m->len + m->key_len;
        rd_kafka_message_destroy(m);
    }
    b->head = b->cap ? (b->head + n) & (b->cap - 1) : 0;
    b->count -= n;
}

void inbox_close(struct inbox *b)
{
    inbox_drop(b, b->count);
    free(b->messages);
    memset(b, 0, sizeof(*b));
}

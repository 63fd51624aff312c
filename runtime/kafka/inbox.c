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

void source_record(const struct partition *p, uint32_t at, struct record *out)
{
    rd_kafka_message_t *m = inbox_at(&p->inbox, at);
    rd_kafka_timestamp_type_t type;

    out->key = m->key;
    out->value = m->payload;
    out->key_len = (uint32_t)m->key_len;
    out->value_len = (uint32_t)m->len;
    out->offset = m->offset;
    out->time_ms = rd_kafka_message_timestamp(m, &type);
    out->topic = p->topic;
    out->partition = p->number;
    out->message = m;
}

bool source_header(void *message, const char *name, struct record_header *out)
{
    rd_kafka_headers_t *headers;
    const void *value;

    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_last(headers, name, &value, &out->len)) {
        return false;
    }
    out->name = name;
    out->value = value;
    return true;
}

bool source_header_at(void *message, uint32_t at, struct record_header *out)
{
    rd_kafka_headers_t *headers;
    const void *value;

    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_all(headers, at, &out->name, &value, &out->len)) {
        return false;
    }
    out->value = value;
    return true;
}

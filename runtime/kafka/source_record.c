/* Records of an inbox, and their headers: see source.h. */
#include "kafka/source_part.h"

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

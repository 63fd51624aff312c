/* See consumer_part.h: what no run has. */
#include "base/err.h"
#include "consumer_part.h"
#include "kafka/producer.h"
#include "kafka/source_part.h"

/* ---- headers of records ---- */

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *m,
                                             rd_kafka_headers_t **out)
{
    (void)m;
    (void)out;
    return RD_KAFKA_RESP_ERR__NOENT;
}

rd_kafka_resp_err_t rd_kafka_header_get_last(const rd_kafka_headers_t *h,
                                             const char *name,
                                             const void **value, size_t *len)
{
    (void)h;
    (void)name;
    (void)value;
    (void)len;
    return RD_KAFKA_RESP_ERR__NOENT;
}

rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *h,
                                            size_t at, const char **name,
                                            const void **value, size_t *len)
{
    (void)h;
    (void)at;
    (void)name;
    (void)value;
    (void)len;
    return RD_KAFKA_RESP_ERR__NOENT;
}

/* ---- kafka/source_group.c and kafka/producer.c: no run asks either ---- */

void group_brokers(struct source *s, const struct rd_kafka_metadata *all)
{
    (void)s;
    (void)all;
}

void group_close(struct source *s)
{
    (void)s;
}

void source_ask_members(struct source *s)
{
    (void)s;
}

enum holder_kind source_holder(struct source *s, const char *topic,
                               int32_t partition, struct holder *out)
{
    (void)s;
    (void)topic;
    (void)partition;
    *out = (struct holder){0};
    return HOLDER_UNKNOWN;
}

/* The pipeline has no topic for dead letters. */
struct producer *producer_new(const char *brokers,
                              const struct plan_option *options, uint32_t n,
                              struct err *e)
{
    (void)brokers;
    (void)options;
    (void)n;
    (void)e;
    broken("a worker wants to produce");
}

void producer_free(struct producer *p)
{
    must(!p);
}

bool producer_send(struct producer *p, const struct producer_record *r,
                   struct err *e)
{
    (void)r;
    (void)e;
    return p != NULL;
}

uint32_t producer_waiting(struct producer *p)
{
    return p != NULL;
}

uint64_t producer_failed(struct producer *p, struct err *e)
{
    (void)e;
    return p != NULL;
}

bool producer_is_over(const struct producer *p)
{
    return p != NULL;
}

bool producer_refuses(const struct producer *p)
{
    return p != NULL;
}

/* See consumer_part.h: open and close. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "consumer_part.h"

rd_kafka_conf_t *rd_kafka_conf_new(void)
{
    return mem_zero(1, sizeof(rd_kafka_conf_t));
}

void rd_kafka_conf_destroy(rd_kafka_conf_t *c)
{
    free(c);
}

rd_kafka_conf_res_t rd_kafka_conf_set(rd_kafka_conf_t *c, const char *name,
                                      const char *value, char *text,
                                      size_t size)
{
    (void)c;
    (void)name;
    (void)value;
    (void)text;
    (void)size;
    return RD_KAFKA_CONF_OK;
}

void rd_kafka_conf_set_opaque(rd_kafka_conf_t *c, void *opaque)
{
    c->opaque = opaque;
}

void rd_kafka_conf_set_rebalance_cb(
    rd_kafka_conf_t *c, void (*fn)(rd_kafka_t *, rd_kafka_resp_err_t,
                                   rd_kafka_topic_partition_list_t *, void *))
{
    c->rebalance = fn;
}

void rd_kafka_conf_set_error_cb(rd_kafka_conf_t *c,
                                void (*fn)(rd_kafka_t *, int, const char *,
                                           void *))
{
    (void)c;
    (void)fn;
}

void *rd_kafka_opaque(const rd_kafka_t *rk)
{
    (void)rk;
    return NULL; /* nothing is logged */
}

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *c,
                              void (*fn)(const rd_kafka_t *, int, const char *,
                                         const char *))
{
    (void)c;
    (void)fn;
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *c, char *text,
                         size_t size)
{
    struct rd_kafka_s *rk = mem_zero(1, sizeof(*rk));

    (void)type;
    (void)text;
    (void)size;
    rk->conf = *c;
    free(c);
    rk->proc = proc_now();
    rk->last = &rk->first;
    rk->next = consumers;
    consumers = rk;
    for (uint32_t i = 0; i < PARTITIONS_MOST; i++) {
        struct fetch *f = &rk->fetches[i];

        *f = (struct fetch){.rk = rk, .partition = i};
        f->event = (struct event){.fn = consumer_on_fetch, .arg = f};
    }
    return rk;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *rk)
{
    (void)rk;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_set_log_queue(rd_kafka_t *rk, rd_kafka_queue_t *q)
{
    (void)rk;
    (void)q;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_topic_conf_t *rd_kafka_default_topic_conf_dup(rd_kafka_t *rk)
{
    (void)rk;
    return mem_zero(1, sizeof(rd_kafka_topic_conf_t));
}

void rd_kafka_topic_conf_set_opaque(rd_kafka_topic_conf_t *c, void *opaque)
{
    c->opaque = opaque;
}

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *name,
                                     rd_kafka_topic_conf_t *c)
{
    struct rd_kafka_topic_s *t = mem_zero(1, sizeof(*t));

    snprintf(t->name, sizeof(t->name), "%s", name);
    t->opaque = c->opaque;
    free(c);
    rk->topic = t;
    return t;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *t)
{
    free(t);
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *t)
{
    return t->name;
}

void *rd_kafka_topic_opaque(const rd_kafka_topic_t *t)
{
    return t->opaque;
}

rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk)
{
    return &rk->queue;
}

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *rk)
{
    return &rk->queue; /* of the goodbye, to which nothing comes */
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *q)
{
    (void)q;
}

void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *q, int fd,
                                    const void *payload, size_t size)
{
    (void)payload;
    (void)size;
    q->fd = fd > 0 ? fd : 0;
}

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk,
                                       const rd_kafka_topic_partition_list_t *l)
{
    (void)l;
    group_join(rk);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *rk,
                                                rd_kafka_queue_t *q)
{
    struct op *op;

    (void)q;
    rk->queue.fd = 0;
    rd_kafka_assign(rk, NULL);
    group_leave(rk);
    while ((op = consumer_pop(rk))) {
        rd_kafka_message_destroy(&op->message);
    }
    return NULL;
}

int rd_kafka_consumer_closed(rd_kafka_t *rk)
{
    (void)rk;
    return 1;
}

void rd_kafka_error_destroy(rd_kafka_error_t *e)
{
    (void)e;
}

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
    struct rd_kafka_s **at = &consumers;

    (void)flags;
    while (*at != rk) {
        at = &(*at)->next;
    }
    *at = rk->next;
    free(rk);
}

/*
 * The part of librdkafka that the runtime calls. A consumer has one queue of
 * what is to be told: records, ends of partitions, what the group gives and
 * takes. What it reads comes after a while, some records at a time.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "broker.h"
#include "kafka/producer.h"
#include "kafka/source_part.h"

enum op_kind { OP_MESSAGE, OP_GIVE, OP_TAKE };

struct op {
    rd_kafka_message_t message; /* first: they are told apart by nobody */
    struct op *next;
    enum op_kind kind;
    uint32_t version; /* of the assignment that it was read for */
    bool given[PARTITIONS_MOST];
    int64_t time_ms;
};

struct fetch {
    struct event event;
    struct rd_kafka_s *rk;
    uint32_t partition;
    bool is_on;
    int64_t next;
    int64_t eof; /* told for this end; -1: not told */
};

struct rd_kafka_topic_s {
    char name[64];
    void *opaque;
};

struct rd_kafka_topic_conf_s {
    void *opaque;
};

struct rd_kafka_conf_s {
    void *opaque;
    void (*rebalance)(rd_kafka_t *, rd_kafka_resp_err_t,
                      rd_kafka_topic_partition_list_t *, void *);
};

struct rd_kafka_queue_s {
    int fd;
};

struct rd_kafka_s {
    struct rd_kafka_s *next;
    struct proc *proc;
    struct rd_kafka_conf_s conf;
    struct rd_kafka_queue_s queue;
    rd_kafka_topic_t *topic; /* the plan's has one */
    struct op *first, **last;
    uint32_t n_ops;
    uint32_t version;
    struct fetch fetches[PARTITIONS_MOST];
};

static struct rd_kafka_s *consumers;
static uint32_t n_messages;

uint32_t consumer_messages(void)
{
    return n_messages;
}

struct proc *consumer_proc(struct rd_kafka_s *rk)
{
    return rk->proc;
}

/* ---- the queue ---- */

static struct rd_kafka_s *consumer_of(rd_kafka_queue_t *q)
{
    return (struct rd_kafka_s *)((char *)q -
                                 offsetof(struct rd_kafka_s, queue));
}

static void push(struct rd_kafka_s *rk, struct op *op)
{
    op->next = NULL;
    *rk->last = op;
    rk->last = &op->next;
    if (rk->n_ops++ == 0 && rk->queue.fd) {
        sim_fd_readable(rk->queue.fd, true);
    }
}

static struct op *op_new(enum op_kind kind)
{
    struct op *op = mem_zero(1, sizeof(*op));

    op->kind = kind;
    n_messages++;
    return op;
}

void rd_kafka_message_destroy(rd_kafka_message_t *m)
{
    n_messages--;
    free(m);
}

static struct op *pop(struct rd_kafka_s *rk)
{
    struct op *op = rk->first;

    if (op) {
        rk->first = op->next;
        rk->last = rk->first ? rk->last : &rk->first;
        rk->n_ops--;
    }
    return op;
}

/* ---- what the group does ---- */

void consumer_give(struct rd_kafka_s *rk, const bool *is_given)
{
    struct op *op = op_new(OP_GIVE);

    memcpy(op->given, is_given, sizeof(op->given));
    push(rk, op);
}

static void push_some(struct fetch *f);

/* Records that came just before are told before it. */
void consumer_take(struct rd_kafka_s *rk)
{
    for (uint32_t i = 0; i < PARTITIONS_MOST; i++) {
        struct fetch *f = &rk->fetches[i];

        if (f->is_on && f->next >= partitions[i].low && chance(500)) {
            push_some(f);
        }
    }
    push(rk, op_new(OP_TAKE));
}

static void tell_group(struct rd_kafka_s *rk, struct op *op)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(PARTITIONS_MOST);

    for (int i = 0; i < PARTITIONS_MOST; i++) {
        if (op->given[i]) {
            rd_kafka_topic_partition_list_add(list, topic_name, i);
        }
    }
    trace("%s: the group %s %d lanes", rk->proc->name,
          op->kind == OP_GIVE ? "gives" : "takes", list->cnt);
    rk->conf.rebalance(rk,
                       op->kind == OP_GIVE
                           ? RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                           : RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS,
                       list, rk->conf.opaque);
    rd_kafka_topic_partition_list_destroy(list);
}

ssize_t rd_kafka_consume_batch_queue(rd_kafka_queue_t *q, int ms,
                                     rd_kafka_message_t **out, size_t most)
{
    struct rd_kafka_s *rk = consumer_of(q);
    size_t n = 0;
    struct op *op;

    (void)ms;
    while (n < most && (op = pop(rk))) {
        if (op->kind != OP_MESSAGE) {
            tell_group(rk, op);
            rd_kafka_message_destroy(&op->message);
        } else if (op->version != rk->version) {
            rd_kafka_message_destroy(&op->message);
        } else {
            out[n++] = &op->message;
        }
    }
    return (ssize_t)n;
}

/* ---- what is read ---- */

static struct op *message(struct fetch *f)
{
    struct op *op = op_new(OP_MESSAGE);

    op->version = f->rk->version;
    op->message.rkt = f->rk->topic;
    op->message.partition = (int32_t)f->partition;
    return op;
}

static void push_record(struct fetch *f, const struct broker_record *r)
{
    struct op *op = message(f);

    op->message.offset = r->offset;
    op->message.key = (void *)(uintptr_t)r->key;
    op->message.key_len = r->key_len;
    op->message.payload = (void *)(uintptr_t)r->value;
    op->message.len = r->value_len;
    op->time_ms = r->time_ms;
    f->next = r->offset + 1;
    push(f->rk, op);
}

static void push_error(struct fetch *f, rd_kafka_resp_err_t code)
{
    struct op *op = message(f);

    op->message.err = code;
    op->message.offset = f->next;
    push(f->rk, op);
}

static void fetch_soon(struct fetch *f)
{
    event_set(&f->event, chance_usec(100, 20000));
}

static void push_some(struct fetch *f)
{
    uint32_t most = 1 + chance_below(20);
    struct broker_record *r;

    while (most-- > 0 && (r = broker_from(f->partition, f->next))) {
        push_record(f, r);
    }
}

/* What aborted transactions left at the end is passed over. */
static void on_fetch(void *arg)
{
    struct fetch *f = arg;
    struct broker_partition *p = &partitions[f->partition];

    if (f->rk->proc->frozen_until > world.now || f->rk->n_ops > 2000) {
        fetch_soon(f);
        return;
    }
    if (f->next < p->low || f->next > p->high) {
        push_error(f, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET);
        f->is_on = false;
        return;
    }
    push_some(f);
    if (broker_from(f->partition, f->next)) {
        fetch_soon(f);
        return;
    }
    f->next = p->high;
    if (f->eof != f->next) {
        f->eof = f->next;
        push_error(f, RD_KAFKA_RESP_ERR__PARTITION_EOF);
    }
}

void consumers_wake(uint32_t partition)
{
    for (struct rd_kafka_s *rk = consumers; rk; rk = rk->next) {
        struct fetch *f = &rk->fetches[partition];

        if (f->is_on && !f->event.place) {
            fetch_soon(f);
        }
    }
}

rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *rk,
                                    const rd_kafka_topic_partition_list_t *list)
{
    rk->version++;
    for (uint32_t i = 0; i < PARTITIONS_MOST; i++) {
        rk->fetches[i].is_on = false;
        event_stop(&rk->fetches[i].event);
    }
    for (int i = 0; list && i < list->cnt; i++) {
        struct fetch *f = &rk->fetches[list->elems[i].partition];

        f->is_on = true;
        f->next = list->elems[i].offset;
        f->eof = -1;
        expect(f->next >= 0, "%s reads lane %u from no offset", rk->proc->name,
               f->partition);
        fetch_soon(f);
    }
    if (!list) {
        group_revoked(rk);
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* ---- messages ---- */

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *m,
                                   rd_kafka_timestamp_type_t *type)
{
    *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return ((const struct op *)m)->time_ms;
}

const char *rd_kafka_message_errstr(const rd_kafka_message_t *m)
{
    return rd_kafka_err2str(m->err);
}

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

/* ---- lists ---- */

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int n)
{
    rd_kafka_topic_partition_list_t *l = mem_zero(1, sizeof(*l));

    l->size = n > 0 ? n : 1;
    l->elems = mem_zero((size_t)l->size, sizeof(*l->elems));
    return l;
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *l)
{
    for (int i = 0; i < l->cnt; i++) {
        free(l->elems[i].topic);
    }
    free(l->elems);
    free(l);
}

rd_kafka_topic_partition_t *
rd_kafka_topic_partition_list_add(rd_kafka_topic_partition_list_t *l,
                                  const char *topic, int32_t partition)
{
    rd_kafka_topic_partition_t *at;

    if (l->cnt == l->size) {
        l->size *= 2;
        l->elems = mem_grow(l->elems, (size_t)l->size * sizeof(*l->elems));
    }
    at = &l->elems[l->cnt++];
    *at = (rd_kafka_topic_partition_t){.topic = mem_dup(topic),
                                       .partition = partition,
                                       .offset = RD_KAFKA_OFFSET_INVALID};
    return at;
}

/* ---- questions ---- */

/* An answer that does not come: the worker stands meanwhile. */
static bool is_late(int ms)
{
    if (world.is_calm || !chance(10)) {
        return false;
    }
    trace("kafka: does not answer");
    world.now += (usec)ms * 1000;
    return true;
}

static int64_t find_time(const struct broker_partition *p, int64_t ms)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->records[i].offset >= p->low && p->records[i].time_ms >= ms) {
            return p->records[i].offset;
        }
    }
    return RD_KAFKA_OFFSET_END;
}

rd_kafka_resp_err_t
rd_kafka_offsets_for_times(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l,
                           int ms)
{
    (void)rk;
    if (is_late(ms)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    for (int i = 0; i < l->cnt; i++) {
        rd_kafka_topic_partition_t *at = &l->elems[i];
        const struct broker_partition *p = &partitions[at->partition];

        at->offset = at->offset == RD_KAFKA_OFFSET_BEGINNING ? p->low
                     : at->offset == RD_KAFKA_OFFSET_END
                         ? p->high
                         : find_time(p, at->offset);
        at->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t
rd_kafka_committed(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *l, int ms)
{
    (void)rk;
    if (is_late(ms)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    for (int i = 0; i < l->cnt; i++) {
        int64_t group_offset = partitions[l->elems[i].partition].group_offset;

        l->elems[i].offset =
            group_offset < 0 ? RD_KAFKA_OFFSET_INVALID : group_offset;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_commit(rd_kafka_t *rk,
                                    const rd_kafka_topic_partition_list_t *l,
                                    int async)
{
    (void)async;
    if (rk->proc->is_killed || !group_is_member(rk)) {
        return RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION;
    }
    for (int i = 0; i < l->cnt; i++) {
        partitions[l->elems[i].partition].group_offset = l->elems[i].offset;
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_get_watermark_offsets(rd_kafka_t *rk,
                                                   const char *topic,
                                                   int32_t partition,
                                                   int64_t *low, int64_t *high)
{
    (void)rk;
    (void)topic;
    *low = partitions[partition].low;
    *high = partitions[partition].high;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *rk, int all,
                                      rd_kafka_topic_t *only,
                                      const struct rd_kafka_metadata **out,
                                      int ms)
{
    struct answer {
        struct rd_kafka_metadata all;
        struct rd_kafka_metadata_broker broker;
        struct rd_kafka_metadata_topic topic;
        struct rd_kafka_metadata_partition parts[PARTITIONS_MOST];
    } * a;

    (void)rk;
    (void)all;
    (void)only;
    if (is_late(ms)) {
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    a = mem_zero(1, sizeof(*a));
    a->all.broker_cnt = 1;
    a->all.brokers = &a->broker;
    a->broker.id = 1;
    a->all.topic_cnt = 1;
    a->all.topics = &a->topic;
    a->topic.topic = (char *)(uintptr_t)topic_name;
    a->topic.partition_cnt = (int)n_partitions;
    a->topic.partitions = a->parts;
    for (uint32_t i = 0; i < n_partitions; i++) {
        a->parts[i].id = (int32_t)i;
        a->parts[i].leader = 1;
    }
    *out = &a->all;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *m)
{
    free((void *)(uintptr_t)m);
}

int rd_kafka_assignment_lost(rd_kafka_t *rk)
{
    return !group_is_member(rk);
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *rk, char *text,
                                         size_t size)
{
    (void)rk;
    (void)text;
    (void)size;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

const char *rd_kafka_err2str(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT ? "Local: Timed out"
           : code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET
               ? "Local: No offset to automatically reset to"
               : "an error of Kafka";
}

const char *rd_kafka_err2name(rd_kafka_resp_err_t code)
{
    (void)code;
    return "AN_ERROR";
}

int rd_kafka_version(void)
{
    return 0x020002ff;
}

/* ---- open and close ---- */

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
        f->event = (struct event){.fn = on_fetch, .arg = f};
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

size_t rd_kafka_queue_length(rd_kafka_queue_t *q)
{
    return consumer_of(q)->n_ops;
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
    while ((op = pop(rk))) {
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

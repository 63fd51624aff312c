/* See consumer_part.h: the queue, what is read, what is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "consumer_part.h"

struct rd_kafka_s *consumers;
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

struct op *consumer_pop(struct rd_kafka_s *rk)
{
    struct op *op = rk->first;

    if (op) {
        rk->first = op->next;
        rk->last = rk->first ? rk->last : &rk->first;
        rk->n_ops--;
    }
    return op;
}

size_t rd_kafka_queue_length(rd_kafka_queue_t *q)
{
    return consumer_of(q)->n_ops;
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
    while (n < most && (op = consumer_pop(rk))) {
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
void consumer_on_fetch(void *arg)
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

/*
 * See peek.h. librdkafka's simple consumer needs no group: partitions are
 * started at an offset and feed one queue. First the beginnings are read, then
 * the ends of those partitions that were not read to their end.
 */
#include "kafka/peek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/loop.h"
#include "kafka/errors.h"
#include "kafka/refusal.h"
#include "kafka/settings.h"

/* A broker that is there answers much sooner; one that is not is waited for
 * by librdkafka until this is over. */
enum { ASK_MS = 3000 };

struct part {
    struct peek_topic *topic;
    rd_kafka_topic_t *handle;
    int32_t number;
    int64_t newest;  /* offset of the newest record that was kept; -1: none */
    uint32_t n;      /* kept since it was started */
    bool is_started; /* librdkafka reads it */
    bool is_at_end;
};

struct peek_reading {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t **handles; /* owned; one a topic */
    struct part *parts;         /* owned */
    uint32_t n_parts;
    rd_kafka_message_t **messages; /* owned; what records point into */
    uint32_t n_messages;
    usec deadline;
    char reason[200]; /* why a connection failed; or "" */
};

static int left_ms(const struct peek_reading *r)
{
    usec now = clock_usec();

    return now < r->deadline ? (int)((r->deadline - now) / 1000) + 1 : 0;
}

/* ---- the handle ---- */

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *arg)
{
    struct peek_reading *r = arg;
    /* "... (after 0ms in state CONNECT, 1 identical error(s) suppressed)" */
    const char *state = strstr(reason, " (after ");
    int len = (int)(state ? state - reason : (ptrdiff_t)strlen(reason));

    (void)rk;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        snprintf(r->reason, sizeof(r->reason), "%.*s", len, reason);
    }
}

/* What goes wrong is told once, by whoever asked. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    struct peek_reading *r = rd_kafka_opaque(rk);
    const char *reason = refusal_in_log(facility, text);

    (void)level;
    if (reason) {
        snprintf(r->reason, sizeof(r->reason), "%s", reason);
    }
}

static bool open_handle(struct peek_reading *r, const struct plan_source *plan,
                        struct err *e)
{
    struct plan_source alone = *plan;
    char text[400];

    alone.group = NULL;
    rd_kafka_conf_t *conf = settings_consumer(&alone, NULL, e);
    if (!conf) {
        return false;
    }
    /* A prefetch for a few records. */
    if (!settings_put(conf, "queued.min.messages", "100", e) ||
        !settings_put(conf, "queued.max.messages.kbytes", "4096", e) ||
        !settings_put(conf, "fetch.message.max.bytes", "262144", e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    rd_kafka_conf_set_opaque(conf, r);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!r->rk) {
        rd_kafka_conf_destroy(conf);
        return refusal_set(e, "the Kafka consumer", text, plan->options,
                           plan->n_options);
    }
    settings_log_from(r->rk);
    r->queue = rd_kafka_queue_new(r->rk);
    return true;
}

/* ---- which topics and partitions there are ---- */

static void copy_names(struct peek *p, const struct rd_kafka_metadata *all)
{
    p->names = mem_zero((size_t)all->topic_cnt + 1, sizeof(*p->names));
    for (int i = 0; i < all->topic_cnt; i++) {
        if (!all->topics[i].err) {
            p->names[p->n_names++] = mem_dup(all->topics[i].topic);
        }
    }
}

static void count_partitions(struct peek_topic *t,
                             const struct rd_kafka_metadata *all)
{
    for (int i = 0; i < all->topic_cnt; i++) {
        if (!all->topics[i].err && strcmp(all->topics[i].topic, t->name) == 0) {
            t->n_partitions = all->topics[i].partition_cnt;
        }
    }
}

static bool no_answer(const struct peek_reading *r, const char *brokers,
                      rd_kafka_resp_err_t code, struct err *e)
{
    const char *hint = refusal_hint(r->reason, rd_kafka_version());

    if (hint) { /* brokers that are up, but will not take us */
        return err_set(e, ERR_CONFIG, "Kafka at %s: %s (%s)", brokers, hint,
                       r->reason);
    }
    return err_set(e, kafka_error_class(code),
                   "Kafka at %s does not answer: %s", brokers,
                   r->reason[0] ? r->reason : rd_kafka_err2str(code));
}

static bool ask(struct peek *p, const char *brokers, struct err *e)
{
    const struct rd_kafka_metadata *all;
    struct peek_reading *r = p->reading;
    int timeout_ms = left_ms(r) < ASK_MS ? left_ms(r) : ASK_MS;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(r->rk, 1, NULL, &all, timeout_ms);

    if (code) {
        rd_kafka_poll(r->rk, 0); /* for the reason */
        return no_answer(r, brokers, code, e);
    }
    copy_names(p, all);
    for (uint32_t i = 0; i < p->n_topics; i++) {
        count_partitions(&p->topics[i], all);
    }
    rd_kafka_metadata_destroy(all);
    return true;
}

static void add_parts(struct peek_reading *r, struct peek_topic *t,
                      rd_kafka_topic_t *handle)
{
    for (int32_t i = 0; i < t->n_partitions && i < PEEK_PARTITIONS; i++) {
        r->parts[r->n_parts++] = (struct part){
            .topic = t, .handle = handle, .number = i, .newest = -1};
    }
}

static void open_parts(struct peek *p)
{
    struct peek_reading *r = p->reading;

    r->handles = mem_zero(p->n_topics + 1, sizeof(*r->handles));
    r->parts =
        mem_zero((size_t)p->n_topics * PEEK_PARTITIONS + 1, sizeof(*r->parts));
    for (uint32_t i = 0; i < p->n_topics; i++) {
        if (p->topics[i].n_partitions > 0) {
            r->handles[i] = rd_kafka_topic_new(r->rk, p->topics[i].name, NULL);
            must(r->handles[i]);
            add_parts(r, &p->topics[i], r->handles[i]);
        }
    }
}

/* ---- reading ---- */

static void stop(struct part *part)
{
    if (part->is_started) {
        part->is_started = false;
        rd_kafka_consume_stop(part->handle, part->number);
    }
}

static void fail(struct part *part, const char *reason, enum err_class class)
{
    part->topic->is_refused |= class == ERR_CONFIG;
    snprintf(part->topic->failure, sizeof(part->topic->failure),
             "partition %d: %s", part->number, reason);
    part->is_at_end = true;
    stop(part);
}

static void keep(struct peek_reading *r, struct part *part,
                 rd_kafka_message_t *m, uint32_t most)
{
    part->topic->bytes += m->len + m->key_len;
    r->messages =
        mem_grow(r->messages, (r->n_messages + 1) * sizeof(*r->messages));
    r->messages[r->n_messages++] = m;
    part->newest = m->offset;
    part->topic->n++;
    if (++part->n >= most || part->topic->bytes > PEEK_BYTES) {
        stop(part);
    }
}

static struct part *part_of(struct peek_reading *r, const rd_kafka_message_t *m)
{
    for (uint32_t i = 0; i < r->n_parts; i++) {
        if (r->parts[i].handle == m->rkt &&
            r->parts[i].number == m->partition) {
            return &r->parts[i];
        }
    }
    return NULL;
}

/* True: the message is kept. */
static bool take(struct peek_reading *r, rd_kafka_message_t *m, uint32_t most)
{
    struct part *part = part_of(r, m);

    if (!part || !part->is_started) {
        return false;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        part->is_at_end = true;
        stop(part);
    } else if (m->err) {
        fail(part, rd_kafka_message_errstr(m), kafka_error_class(m->err));
    } else if (m->offset > part->newest) {
        keep(r, part, m, most);
        return true;
    }
    return false;
}

static bool is_reading(const struct peek_reading *r)
{
    for (uint32_t i = 0; i < r->n_parts; i++) {
        if (r->parts[i].is_started) {
            return true;
        }
    }
    return false;
}

/* Up to [most] records of each partition that is not at its end. */
static void read_from(struct peek_reading *r, int64_t offset, uint32_t most)
{
    for (uint32_t i = 0; i < r->n_parts; i++) {
        struct part *part = &r->parts[i];

        part->n = 0;
        part->is_started = !part->is_at_end && rd_kafka_consume_start_queue(
                                                   part->handle, part->number,
                                                   offset, r->queue) == 0;
    }
    while (is_reading(r) && left_ms(r) > 0) {
        rd_kafka_message_t *m = rd_kafka_consume_queue(r->queue, left_ms(r));

        if (m && !take(r, m, most)) {
            rd_kafka_message_destroy(m);
        }
    }
    for (uint32_t i = 0; i < r->n_parts; i++) {
        struct part *part = &r->parts[i];

        if (part->is_started && part->newest < 0) {
            fail(part, "Kafka gave nothing of it in time", ERR_CONNECTION);
        }
        stop(part);
    }
}

static int compare(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    if (x->partition != y->partition) {
        return x->partition < y->partition ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void add_record(struct peek_topic *t, rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;

    t->records[t->n++] =
        (struct record){.key = m->key,
                        .value = m->payload,
                        .key_len = (uint32_t)m->key_len,
                        .value_len = (uint32_t)m->len,
                        .offset = m->offset,
                        .time_ms = rd_kafka_message_timestamp(m, &type),
                        .topic = t->name,
                        .partition = m->partition,
                        .message = m};
}

static void collect(struct peek *p)
{
    struct peek_reading *r = p->reading;

    for (uint32_t i = 0; i < p->n_topics; i++) {
        struct peek_topic *t = &p->topics[i];

        t->records = mem_zero(t->n + 1, sizeof(*t->records));
        t->n = 0;
        for (uint32_t k = 0; k < r->n_messages; k++) {
            if (r->messages[k]->rkt == r->handles[i]) {
                add_record(t, r->messages[k]);
            }
        }
        qsort(t->records, t->n, sizeof(*t->records), compare);
    }
}

/* ---- the whole ---- */

struct peek *peek_open(const struct plan_source *plan, uint32_t timeout_ms,
                       struct err *e)
{
    struct peek *p = mem_zero(1, sizeof(*p));
    struct peek_reading *r = mem_zero(1, sizeof(*r));

    p->reading = r;
    r->deadline = clock_usec() + (usec)timeout_ms * 1000;
    p->topics = mem_zero(plan->n_topics + 1, sizeof(*p->topics));
    p->n_topics = plan->n_topics;
    for (uint32_t i = 0; i < plan->n_topics; i++) {
        p->topics[i].name = plan->topics[i];
    }
    if (!open_handle(r, plan, e) || !ask(p, plan->brokers, e)) {
        peek_free(p);
        return NULL;
    }
    open_parts(p);
    read_from(r, RD_KAFKA_OFFSET_BEGINNING, PEEK_FIRST);
    read_from(r, RD_KAFKA_OFFSET_TAIL(PEEK_LAST), PEEK_LAST);
    collect(p);
    return p;
}

static void close_handle(struct peek_reading *r, uint32_t n_topics)
{
    for (uint32_t i = 0; r->handles && i < n_topics; i++) {
        if (r->handles[i]) {
            rd_kafka_topic_destroy(r->handles[i]);
        }
    }
    if (r->queue) {
        rd_kafka_queue_destroy(r->queue);
    }
    if (r->rk) {
        rd_kafka_destroy(r->rk);
    }
}

static bool no_range(const struct peek_reading *r, const char *brokers,
                     rd_kafka_resp_err_t code, struct err *e)
{
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
        code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
        return err_set(e, ERR_DATA, "Kafka at %s has no such partition",
                       brokers);
    }
    rd_kafka_poll(r->rk, 0); /* for the reason */
    return no_answer(r, brokers, code, e);
}

bool peek_range(const struct plan_source *plan, const char *topic,
                int32_t partition, int64_t range[2], struct err *e)
{
    struct peek_reading r = {0};
    bool ok = open_handle(&r, plan, e);

    if (ok) {
        rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
            r.rk, topic, partition, &range[0], &range[1], ASK_MS);
        ok = !code || no_range(&r, plan->brokers, code, e);
    }
    close_handle(&r, 0);
    return ok;
}

/* A time below zero asks for an end; all partitions are one question. */
bool peek_ends(const struct plan_source *plan, struct peek_end *ends,
               uint32_t n, struct err *e)
{
    struct peek_reading r = {0};
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n);
    bool ok = open_handle(&r, plan, e);

    for (uint32_t i = 0; i < n; i++) {
        ends[i].offset = -1;
        rd_kafka_topic_partition_list_add(list, ends[i].topic,
                                          ends[i].partition)
            ->offset = RD_KAFKA_OFFSET_END;
    }
    if (ok) {
        rd_kafka_resp_err_t code =
            rd_kafka_offsets_for_times(r.rk, list, ASK_MS);
        rd_kafka_poll(r.rk, 0); /* for the reason */
        ok = !code || no_answer(&r, plan->brokers, code, e);
    }
    for (int i = 0; ok && i < list->cnt; i++) {
        if (!list->elems[i].err && list->elems[i].offset >= 0) {
            ends[i].offset = list->elems[i].offset;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    close_handle(&r, 0);
    return ok;
}

void peek_free(struct peek *p)
{
    if (!p) {
        return;
    }
    struct peek_reading *r = p->reading;
    for (uint32_t i = 0; i < r->n_messages; i++) {
        rd_kafka_message_destroy(r->messages[i]);
    }
    close_handle(r, p->n_topics);
    for (uint32_t i = 0; i < p->n_topics; i++) {
        free(p->topics[i].records);
    }
    for (uint32_t i = 0; i < p->n_names; i++) {
        free((char *)p->names[i]);
    }
    free(r->messages);
    free(r->parts);
    free(r->handles);
    free(r);
    free(p->names);
    free(p->topics);
    free(p);
}

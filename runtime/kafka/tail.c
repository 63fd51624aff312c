/* See tail.h; librdkafka's simple consumer, as in peek.c. */
#include "kafka/tail.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/loop.h"
#include "kafka/errors.h"
#include "kafka/peek.h"
#include "kafka/refusal.h"
#include "kafka/settings.h"

enum { ASK_MS = 3000 };

struct tail_reading {
    const struct plan_source *plan;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t **handles;    /* owned; one a topic of the plan */
    rd_kafka_message_t **messages; /* owned; what records point into */
    uint32_t n_messages;
    uint32_t *left; /* owned; of each part: records that it may still give; 0:
                       it is read no more */
};

/* What goes wrong is told once, by whoever asked. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility,
                   const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

static bool open_handle(struct tail_reading *r, struct err *e)
{
    struct plan_source alone = *r->plan;
    char text[400];

    alone.group = NULL;
    rd_kafka_conf_t *conf = settings_consumer(&alone, NULL, e);
    if (!conf) {
        return false;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!r->rk) {
        rd_kafka_conf_destroy(conf);
        return refusal_set(e, "the Kafka consumer", text, r->plan->options,
                           r->plan->n_options);
    }
    settings_log_from(r->rk);
    r->queue = rd_kafka_queue_new(r->rk);
    return true;
}

static bool add_parts(struct tail *t, uint32_t topic,
                      const struct rd_kafka_metadata *all, struct err *e)
{
    const char *name = t->reading->plan->topics[topic];

    for (int i = 0; i < all->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *m = &all->topics[i];

        if (m->err || strcmp(m->topic, name) != 0) {
            continue;
        }
        size_t n = t->n_parts + (size_t)m->partition_cnt;
        t->parts = mem_grow(t->parts, n * sizeof(*t->parts));
        for (int32_t k = 0; k < m->partition_cnt; k++) {
            t->parts[t->n_parts++] =
                (struct tail_part){.topic = name, .partition = k, .from = -1};
        }
        return true;
    }
    return err_set(e, ERR_CONFIG, "Kafka at %s has no topic %s",
                   t->reading->plan->brokers, name);
}

static bool list_parts(struct tail *t, struct err *e)
{
    struct tail_reading *r = t->reading;
    const struct rd_kafka_metadata *all;
    rd_kafka_resp_err_t code = rd_kafka_metadata(r->rk, 1, NULL, &all, ASK_MS);
    bool ok = !code;

    if (code) {
        int64_t range[2];

        /* It has the better words for what is wrong. */
        return !peek_range(r->plan, r->plan->topics[0], 0, range, e)
                   ? false
                   : err_set(e, kafka_error_class(code),
                             "Kafka at %s does not answer: %s",
                             r->plan->brokers, rd_kafka_err2str(code));
    }
    for (uint32_t i = 0; ok && i < r->plan->n_topics; i++) {
        ok = add_parts(t, i, all, e);
    }
    rd_kafka_metadata_destroy(all);
    return ok;
}

static bool ask_ends(struct tail *t, struct err *e)
{
    struct peek_end *ends = mem_zero(t->n_parts + 1, sizeof(*ends));

    for (uint32_t i = 0; i < t->n_parts; i++) {
        ends[i] =
            (struct peek_end){t->parts[i].topic, t->parts[i].partition, 0};
    }
    bool ok = peek_ends(t->reading->plan, ends, t->n_parts, e);
    for (uint32_t i = 0; i < t->n_parts; i++) {
        t->parts[i].end = ends[i].offset;
    }
    free(ends);
    return ok;
}

struct tail *tail_open(const struct plan_source *plan, struct err *e)
{
    struct tail *t = mem_zero(1, sizeof(*t));

    t->reading = mem_zero(1, sizeof(*t->reading));
    t->reading->plan = plan;
    if (!open_handle(t->reading, e) || !list_parts(t, e) || !ask_ends(t, e)) {
        tail_free(t);
        return NULL;
    }
    return t;
}

/* ---- reading ---- */

static uint32_t topic_of(const struct tail_reading *r, const char *name)
{
    uint32_t i = 0;

    while (strcmp(r->plan->topics[i], name) != 0) {
        i++;
    }
    return i;
}

static bool has_records(const struct tail_part *p)
{
    return p->from != -1 && p->end > 0 && p->from < p->end;
}

static bool start(struct tail *t, uint32_t i, uint32_t most, struct err *e)
{
    struct tail_reading *r = t->reading;
    const struct tail_part *p = &t->parts[i];
    uint32_t topic = topic_of(r, p->topic);
    int64_t from = p->from == TAIL_FIRST ? RD_KAFKA_OFFSET_BEGINNING : p->from;

    if (!r->handles[topic]) {
        r->handles[topic] = rd_kafka_topic_new(r->rk, p->topic, NULL);
        must(r->handles[topic]);
    }
    if (rd_kafka_consume_start_queue(r->handles[topic], p->partition, from,
                                     r->queue) != 0) {
        return err_set(e, ERR_CONNECTION, "%s/%d cannot be read", p->topic,
                       p->partition);
    }
    r->left[i] = most;
    return true;
}

static void stop(struct tail *t, uint32_t i)
{
    struct tail_reading *r = t->reading;

    if (r->left[i] > 0) {
        r->left[i] = 0;
        rd_kafka_consume_stop(r->handles[topic_of(r, t->parts[i].topic)],
                              t->parts[i].partition);
    }
}

static uint32_t part_of(const struct tail *t, const rd_kafka_message_t *m)
{
    const struct tail_reading *r = t->reading;
    uint32_t i = 0;

    while (t->parts[i].partition != m->partition ||
           r->handles[topic_of(r, t->parts[i].topic)] != m->rkt) {
        i++;
    }
    return i;
}

/* True: the message is kept. */
static bool take(struct tail *t, rd_kafka_message_t *m, struct err *e, bool *ok)
{
    struct tail_reading *r = t->reading;
    uint32_t i = part_of(t, m);
    const struct tail_part *p = &t->parts[i];

    if (r->left[i] == 0) {
        return false;
    }
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        stop(t, i);
        return false;
    }
    if (m->err) {
        *ok = err_set(e, kafka_error_class(m->err), "%s/%d: %s", p->topic,
                      p->partition, rd_kafka_message_errstr(m));
        return false;
    }
    if (m->offset >= p->end) {
        stop(t, i);
        return false;
    }
    r->messages =
        mem_grow(r->messages, (r->n_messages + 1) * sizeof(*r->messages));
    r->messages[r->n_messages++] = m;
    if (m->offset + 1 >= p->end) {
        stop(t, i);
    } else if (r->left[i] == 1) {
        t->is_cut = true;
        stop(t, i);
    } else {
        r->left[i]--;
    }
    return true;
}

static bool is_reading(const struct tail *t)
{
    for (uint32_t i = 0; i < t->n_parts; i++) {
        if (t->reading->left[i] > 0) {
            return true;
        }
    }
    return false;
}

static void read_all(struct tail *t, usec deadline, struct err *e, bool *ok)
{
    struct tail_reading *r = t->reading;

    while (*ok && is_reading(t)) {
        usec now = clock_usec();
        int left = now < deadline ? (int)((deadline - now) / 1000) + 1 : 0;
        rd_kafka_message_t *m =
            left > 0 ? rd_kafka_consume_queue(r->queue, left) : NULL;

        if (left == 0) {
            *ok = err_set(e, ERR_CONNECTION,
                          "Kafka did not give the records in time");
        } else if (m && !take(t, m, e, ok)) {
            rd_kafka_message_destroy(m);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct record *x = a, *y = b;

    if (x->lane != y->lane) {
        return x->lane < y->lane ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void collect(struct tail *t)
{
    struct tail_reading *r = t->reading;
    rd_kafka_timestamp_type_t type;

    t->records = mem_zero(r->n_messages + 1, sizeof(*t->records));
    for (uint32_t k = 0; k < r->n_messages; k++) {
        rd_kafka_message_t *m = r->messages[k];
        uint32_t part = part_of(t, m);

        t->records[t->n++] =
            (struct record){.key = m->key,
                            .value = m->payload,
                            .key_len = (uint32_t)m->key_len,
                            .value_len = (uint32_t)m->len,
                            .offset = m->offset,
                            .time_ms = rd_kafka_message_timestamp(m, &type),
                            .topic = t->parts[part].topic,
                            .partition = m->partition,
                            .lane = part,
                            .message = m};
    }
    qsort(t->records, t->n, sizeof(*t->records), compare);
}

bool tail_read(struct tail *t, uint32_t most, uint32_t timeout_ms,
               struct err *e)
{
    struct tail_reading *r = t->reading;
    uint32_t n = 0;
    bool ok = true;

    r->handles = mem_zero(r->plan->n_topics + 1, sizeof(*r->handles));
    r->left = mem_zero(t->n_parts + 1, sizeof(*r->left));
    for (uint32_t i = 0; i < t->n_parts; i++) {
        n += has_records(&t->parts[i]);
    }
    for (uint32_t i = 0; ok && i < t->n_parts; i++) {
        ok = !has_records(&t->parts[i]) ||
             start(t, i, most > n ? most / n : 1, e);
    }
    read_all(t, clock_usec() + (usec)timeout_ms * 1000, e, &ok);
    for (uint32_t i = 0; i < t->n_parts; i++) {
        stop(t, i);
    }
    collect(t);
    return ok;
}

void tail_free(struct tail *t)
{
    struct tail_reading *r = t->reading;

    for (uint32_t i = 0; i < r->n_messages; i++) {
        rd_kafka_message_destroy(r->messages[i]);
    }
    for (uint32_t i = 0; r->handles && i < r->plan->n_topics; i++) {
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
    free(r->messages);
    free(r->handles);
    free(r->left);
    free(r);
    free(t->records);
    free(t->parts);
    free(t);
}

/*
 * See source.h. The handle, the wake-ups and the pump.
 *
 * librdkafka writes the eventfd only when its queue turns from empty to not
 * empty; so a pump that leaves records behind pokes the eventfd itself, and a
 * timer wakes in any case: rebalances and max.poll.interval.ms need a poll now
 * and then even when nothing comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/arena.h"
#include "kafka/inbox.h"
#include "kafka/refusal.h"
#include "kafka/settings.h"
#include "kafka/source_part.h"
#include "model/deadlines.h"

enum { LOOK_TICKS = 10 };
/* A rebalance waits behind the prefetch as long as the cap is full; the other
 * workers wait with it. Longer than a slow transaction, shorter than anybody
 * wants to wait. */
static const usec FULL_PATIENCE_USEC = 3000000;
/* librdkafka says the same of a broker again after half a minute. */
static const usec REPEAT_USEC = 40000000;

/* ---- wake-ups ---- */

void source_poke(struct source *s)
{
    uint64_t one = 1;

    /* Full (EAGAIN) means that it is readable already. */
    while (write(s->fd, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

static void on_readable(void *arg, bool readable, bool writable)
{
    struct source *s = arg;
    uint64_t n;

    (void)readable;
    (void)writable;
    while (read(s->fd, &n, sizeof(n)) < 0 && errno == EINTR) {
    }
    s->wake(s->arg);
}

static void on_tick(void *arg)
{
    struct source *s = arg;

    if (++s->ticks % LOOK_TICKS == 0) {
        partitions_look(s);
    }
    if (s->full_since && !s->is_held &&
        clock_usec() - s->full_since > FULL_PATIENCE_USEC) {
        partitions_drop_resting(s);
    }
    s->wake(s->arg);
}

/* ---- open and close ---- */

static void open_topics(struct source *s, const struct plan_source *plan)
{
    s->topics = mem_zero(plan->n_topics, sizeof(*s->topics));
    for (uint32_t i = 0; i < plan->n_topics; i++) {
        struct topic *t = &s->topics[s->n_topics++];
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(s->rk);

        t->name = mem_dup(plan->topics[i]);
        t->index = i;
        rd_kafka_topic_conf_set_opaque(conf, t);
        t->handle = rd_kafka_topic_new(s->rk, t->name, conf);
        must(t->handle);
    }
}

static bool subscribe(struct source *s, struct err *e)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)s->n_topics);
    rd_kafka_resp_err_t err;

    for (uint32_t i = 0; i < s->n_topics; i++) {
        rd_kafka_topic_partition_list_add(list, s->topics[i].name,
                                          RD_KAFKA_PARTITION_UA);
    }
    err = rd_kafka_subscribe(s->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err) {
        return err_set(e, ERR_CONFIG, "the topics cannot be subscribed to: %s",
                       rd_kafka_err2str(err));
    }
    return true;
}

bool source_rejoin(struct source *s, struct err *e)
{
    return subscribe(s, e);
}

static bool has_patterns(const struct plan_source *plan, struct err *e)
{
    for (uint32_t i = 0; i < plan->n_topics; i++) {
        if (plan->topics[i][0] == '^') {
            err_set(e, ERR_CONFIG,
                    "topic '%s': patterns are not supported, name each topic",
                    plan->topics[i]);
            return true;
        }
    }
    return false;
}

static bool open_handle(struct source *s, const struct plan_source *plan,
                        const char *instance, struct err *e)
{
    char text[400];
    rd_kafka_conf_t *conf = settings_consumer(plan, instance, e);

    if (!conf) {
        return false;
    }
    rd_kafka_conf_set_opaque(conf, s);
    rd_kafka_conf_set_rebalance_cb(conf, partitions_on_rebalance);
    rd_kafka_conf_set_error_cb(conf, trouble_on_error);
    rd_kafka_conf_set_log_cb(conf, trouble_on_log);
    s->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!s->rk) {
        rd_kafka_conf_destroy(conf);
        return refusal_set(e, "the Kafka consumer", text, plan->options,
                           plan->n_options);
    }
    rd_kafka_poll_set_consumer(s->rk);
    settings_log_from(s->rk);
    return true;
}

static void watch(struct source *s)
{
    const uint64_t one = 1; /* what an eventfd wants */

    s->queue = rd_kafka_queue_get_consumer(s->rk);
    must(s->queue);
    rd_kafka_queue_io_event_enable(s->queue, s->fd, &one, sizeof(one));
    s->io = loop_io_new(s->loop, s->fd, on_readable, s);
    loop_io_want(s->io, true, false);
    s->tick = loop_timer_new(s->loop, on_tick, s);
    loop_timer_every(s->tick, TICK_USEC);
}

struct source *source_new(struct loop *l, const struct plan_source *plan,
                          const char *instance, loop_fn wake, void *arg,
                          struct err *e)
{
    struct source *s = mem_zero(1, sizeof(*s));

    s->loop = l;
    s->noted_end = &s->noted;
    s->wake = wake;
    s->arg = arg;
    s->cap_bytes = settings_inbox_bytes(rd_kafka_version());
    s->brokers = mem_dup(plan->brokers);
    s->group = mem_dup(plan->group);
    s->instance = instance ? mem_dup(instance) : NULL;
    s->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    must(s->fd >= 0);
    if (has_patterns(plan, e) || !open_handle(s, plan, instance, e)) {
        source_free(s);
        return NULL;
    }
    open_topics(s, plan);
    watch(s);
    if (!subscribe(s, e)) {
        source_free(s);
        return NULL;
    }
    return s;
}

static void destroy_all(rd_kafka_message_t **messages, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        rd_kafka_message_destroy(messages[i]);
    }
}

/* Serves the callbacks of the goodbye; false: the brokers do not answer. */
static bool leave(struct source *s)
{
    usec deadline = clock_usec() + STOP_SOURCE_USEC;
    rd_kafka_queue_t *last = rd_kafka_queue_new(s->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(s->rk, last);
    bool is_closed = error != NULL;

    rd_kafka_error_destroy(error);
    while (!is_closed && clock_usec() < deadline) {
        destroy_all(s->got,
                    rd_kafka_consume_batch_queue(last, 20, s->got, PUMP_CALL));
        is_closed = rd_kafka_consumer_closed(s->rk);
    }
    rd_kafka_queue_destroy(last);
    return is_closed;
}

static void close_handle(struct source *s)
{
    bool has_left = leave(s);

    group_close(s);
    for (uint32_t i = 0; i < s->n_topics; i++) {
        rd_kafka_topic_destroy(s->topics[i].handle);
    }
    if (s->queue) {
        rd_kafka_queue_io_event_enable(s->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(s->queue);
    }
    /* Destroying waits for librdkafka's threads, and they for brokers that do
     * not answer, or it frees what is damaged: better to leak a handle when the
     * process ends anyway. */
    if (has_left && s->cache == CACHE_WELL) {
        rd_kafka_destroy_flags(s->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
}

void source_free(struct source *s)
{
    if (!s) {
        return;
    }
    loop_io_free(s->io);
    loop_timer_free(s->tick);
    partitions_free(s);
    if (s->rk) {
        close_handle(s);
    }
    for (uint32_t i = 0; i < s->n_topics; i++) {
        free(s->topics[i].name);
        free(s->topics[i].partitions);
        free(s->topics[i].leaders);
    }
    close(s->fd);
    free(s->topics);
    free(s->brokers);
    free(s->group);
    free(s->instance);
    free(s);
}

/* ---- the pump ---- */

/* The first record since it was started: is it the one below the
 * position, and the one that was applied? */
static void check(struct source *s, struct partition *p,
                  const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t type;
    struct record r = {.key = m->key,
                       .value = m->payload,
                       .key_len = (uint32_t)m->key_len,
                       .value_len = (uint32_t)m->len,
                       .time_ms = rd_kafka_message_timestamp(m, &type)};

    p->is_checking = false;
    if (m->offset != p->fetched - 1) {
        return;
    }
    p->found = anchor_of(&r);
    if (p->found.ms != p->anchor.ms || p->found.hash != p->anchor.hash) {
        partitions_replaced(s, p);
    }
}

/* True when the message is the inbox's now. What comes behind records that
 * cannot be read is not. */
static bool keep(struct source *s, struct partition *p, rd_kafka_message_t *m)
{
    uint64_t bytes = m->len + m->key_len;

    if (!p || !p->is_fetching || p->is_stuck) {
        return false;
    }
    if (p->is_checking && m->offset >= p->fetched - 1) {
        check(s, p, m);
    }
    if (m->offset < p->fetched || p->is_replaced) {
        return false;
    }
    if (p->inbox.count == 0) {
        p->waiting_since = loop_now(s->loop);
        p->trouble[0] = '\0';
        partitions_note(s, p);
    }
    inbox_push(&p->inbox, m, bytes);
    p->fetched = m->offset + 1;
    s->used_bytes += bytes + INBOX_MESSAGE_BYTES;
    return true;
}

static bool take(struct source *s, rd_kafka_message_t *m)
{
    struct partition *p;

    if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return keep(s, partitions_find(m), m);
    }
    if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        trouble_take(s, m);
        return false;
    }
    p = partitions_find(m);
    if (p && p->is_fetching && m->offset >= p->fetched) {
        p->eof = m->offset;
        p->trouble[0] = '\0';
        p->is_checking = false; /* the record was not there */
        partitions_note(s, p);
    }
    return false;
}

/* One call of librdkafka: how many messages it gave. A rebalance may happen
 * inside it; what it took away is not fetching any more when the messages are
 * looked at. */
static uint32_t call(struct source *s, uint32_t want, uint32_t *n_kept)
{
    ssize_t n = rd_kafka_consume_batch_queue(s->queue, 0, s->got, want);

    for (ssize_t i = 0; i < n; i++) {
        if (take(s, s->got[i])) {
            (*n_kept)++;
        } else {
            rd_kafka_message_destroy(s->got[i]);
        }
    }
    return n > 0 ? (uint32_t)n : 0;
}

/* They are read again once there is room for a good part of the cap: each
 * time costs the prefetch. */
static void resume_reading(struct source *s)
{
    struct err e;

    if (s->is_held && s->used_bytes < s->cap_bytes / 2) {
        s->is_held = false;
        s->must_apply = true;
    }
    if (s->must_apply && !partitions_apply(s, &e)) {
        trouble_tell(s, &e);
    }
}

static void note_full(struct source *s, bool is_full)
{
    if (!is_full) {
        s->full_since = 0;
    } else if (!s->full_since) {
        s->full_since = clock_usec();
    }
}

uint32_t source_pump(struct source *s, uint32_t max)
{
    uint32_t n_taken = 0, n_kept = 0, n = 0, want = 0;

    resume_reading(s);
    while (n == want && n_taken < max &&
           (s->is_held || s->used_bytes < s->cap_bytes)) {
        want = max - n_taken < PUMP_CALL ? max - n_taken : PUMP_CALL;
        n = call(s, want, &n_kept);
        n_taken += n;
    }
    note_full(s, s->used_bytes >= s->cap_bytes);
    if (n == want && n_taken >= max) {
        source_poke(s); /* more may be there; at the cap, source_done pokes */
    }
    return n_kept;
}

const char *source_failure(const struct source *s)
{
    return s->said;
}

void source_is_well(struct source *s)
{
    if (s->said[0] && (s->is_down || clock_usec() > s->said_at + REPEAT_USEC)) {
        s->said[0] = s->failure[0] = '\0';
        s->hint = NULL;
    }
}

uint64_t source_inbox_bytes(const struct source *s)
{
    return s->used_bytes;
}

uint64_t source_prefetched(const struct source *s)
{
    return rd_kafka_queue_length(s->queue);
}

enum source_news source_news(struct source *s, struct err *e)
{
    return news_take(&s->news, e);
}

void source_done(struct source *s, struct partition *p, uint32_t n)
{
    partitions_drop_inbox(s, p, n);
    if (s->full_since && s->used_bytes < s->cap_bytes) {
        source_poke(s);
    }
}

/*
 * Questions to the brokers, each with a timeout, and the one thing they are
 * told: positions, for lag tools. Nothing rests on what Kafka keeps of them.
 */
#include <stdio.h>
#include <string.h>

#include "kafka/consumer.h"
#include "kafka/errors.h"

/* A third of the limit for heartbeats, which stop while we wait. The topics
 * are asked for again and again as long as Kafka is away, so that answer is
 * waited for more briefly: a worker that is told to stop must hear it. */
enum { ASK_TIMEOUT_MS = 5000, TOPICS_TIMEOUT_MS = 1000, ENDS_TIMEOUT_MS = 500 };
/* Lanes a question: librdkafka looks each answer up in a list, so many more
 * would take it longer than the broker. */
enum { SLICE = 500 };

typedef rd_kafka_topic_partition_list_t partitions;

struct question {
    const char *what;
    int64_t about; /* what stands in the list for the answer */
    int timeout_ms;
    rd_kafka_resp_err_t (*ask)(rd_kafka_t *rk, partitions *list, int ms);
};

/* Where several lanes are asked about at once, an answer that is late may be
 * any one's. */
static bool failed(const struct source *s, struct lane *const *lanes,
                   uint32_t n, const char *what, rd_kafka_resp_err_t code,
                   struct err *e)
{
    char more[40] = "";

    if (n > 1) {
        snprintf(more, sizeof(more), " and %u more", n - 1);
    }
    /* Said of a partition that is there, and has no leader. */
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
        code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }
    return err_set(e, kafka_error_class(code),
                   "%s/%d%s: Kafka at %s does not tell %s: %s", lanes[0]->topic,
                   lanes[0]->partition, more, s->brokers, what,
                   rd_kafka_err2str(code));
}

/* Of librdkafka, for want of an answer: any lane's would be as late. */
static bool is_late(rd_kafka_resp_err_t code)
{
    return code < 0 && kafka_error_class(code) == ERR_CONNECTION;
}

/* The code of the first lane that has one. */
static rd_kafka_resp_err_t read_answers(const partitions *list,
                                        int64_t *offsets)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < list->cnt; i++) {
        offsets[i] = list->elems[i].offset;
        code = code ? code : list->elems[i].err;
    }
    return code;
}

static rd_kafka_resp_err_t ask_once(struct source *s, const struct question *q,
                                    struct lane *const *lanes, uint32_t n,
                                    int64_t *offsets)
{
    partitions *list = rd_kafka_topic_partition_list_new((int)n);
    rd_kafka_resp_err_t code;

    for (uint32_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, lanes[i]->topic,
                                          lanes[i]->partition)
            ->offset = q->about;
    }
    code = q->ask(s->rk, list, q->timeout_ms);
    code = code ? code : read_answers(list, offsets);
    rd_kafka_topic_partition_list_destroy(list);
    if (s->alive) {
        s->alive(s->arg);
    }
    return code;
}

/* librdkafka gives one code for all: what refuses is found by halves. */
static bool ask_slice(struct source *s, const struct question *q,
                      struct lane *const *lanes, uint32_t n, int64_t *offsets,
                      struct err *e)
{
    rd_kafka_resp_err_t code = ask_once(s, q, lanes, n, offsets);
    uint32_t half = n / 2;

    if (!code) {
        return true;
    }
    if (n == 1 || is_late(code)) {
        return failed(s, lanes, n, q->what, code, e);
    }
    return ask_slice(s, q, lanes, half, offsets, e) &&
           ask_slice(s, q, lanes + half, n - half, offsets + half, e);
}

static bool ask(struct source *s, const struct question *q,
                struct lane *const *lanes, uint32_t n, int64_t *offsets,
                struct err *e)
{
    bool ok = true;

    for (uint32_t i = 0; i < n && ok; i += SLICE) {
        uint32_t some = n - i < SLICE ? n - i : SLICE;

        ok = ask_slice(s, q, lanes + i, some, offsets + i, e);
    }
    return ok;
}

void source_alive(struct source *s, loop_fn alive)
{
    s->alive = alive;
}

bool source_watermarks(struct source *s, struct lane *const *lanes, uint32_t n,
                       int64_t *low, int64_t *high, struct err *e)
{
    /* A time below zero asks for an end of the partition. */
    static const struct question first = {"which offsets it has",
                                          RD_KAFKA_OFFSET_BEGINNING,
                                          ASK_TIMEOUT_MS,
                                          rd_kafka_offsets_for_times},
                                 last = {"which offsets it has",
                                         RD_KAFKA_OFFSET_END, ASK_TIMEOUT_MS,
                                         rd_kafka_offsets_for_times};

    if (!ask(s, &first, lanes, n, low, e) ||
        !ask(s, &last, lanes, n, high, e)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (low[i] < 0 || high[i] < 0) { /* left out of the answer */
            return failed(s, lanes + i, 1, first.what,
                          RD_KAFKA_RESP_ERR__BAD_MSG, e);
        }
    }
    return true;
}

bool source_ends(struct source *s, struct lane *const *lanes, uint32_t n,
                 int64_t *ends)
{
    static const struct question q = {"which offsets it has",
                                      RD_KAFKA_OFFSET_END, ENDS_TIMEOUT_MS,
                                      rd_kafka_offsets_for_times};
    struct err e;

    return ask(s, &q, lanes, n, ends, &e);
}

bool source_offsets_at(struct source *s, struct lane *const *lanes, uint32_t n,
                       int64_t ms, int64_t *offsets, struct err *e)
{
    const struct question q = {"the offset of a time", ms, ASK_TIMEOUT_MS,
                               rd_kafka_offsets_for_times};

    return ask(s, &q, lanes, n, offsets, e);
}

bool source_committed(struct source *s, struct lane *const *lanes, uint32_t n,
                      int64_t *offsets, struct err *e)
{
    static const struct question q = {"the offset that the group committed",
                                      RD_KAFKA_OFFSET_INVALID, ASK_TIMEOUT_MS,
                                      rd_kafka_committed};

    if (!ask(s, &q, lanes, n, offsets, e)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        offsets[i] = offsets[i] < 0 ? -1 : offsets[i];
        lanes[i]->advised = offsets[i];
    }
    return true;
}

static void note_leader(struct source *s, struct lane *l, bool has_leader)
{
    struct err e;

    l->has_no_leader = !has_leader;
    if (has_leader && !l->trouble[0]) {
        return;
    }
    err_set(&e, ERR_CONNECTION,
            "%s/%d has no leader: the brokers that keep it are away, and "
            "nothing comes of it until one is back",
            l->topic, l->partition);
    if (!has_leader) {
        trouble_of_lane(s, l, &e);
    } else if (strncmp(l->trouble, e.text, sizeof(l->trouble) - 1) == 0) {
        l->trouble[0] = '\0';
    }
}

/* How many of our lanes have none. */
static uint32_t note_leaders(struct source *s,
                             const struct rd_kafka_metadata *all)
{
    uint32_t n = 0;

    s->n_leaderless = 0;
    for (int t = 0; t < all->topic_cnt; t++) {
        const struct rd_kafka_metadata_topic *topic = &all->topics[t];

        for (int i = 0; i < topic->partition_cnt; i++) {
            bool has_leader = topic->partitions[i].leader >= 0;
            struct lane *l =
                source_lane(s, topic->topic, topic->partitions[i].id);

            s->n_leaderless += !has_leader;
            if (l && (l->is_fetching || l->is_offered || l->needs_claim)) {
                note_leader(s, l, has_leader);
                n += !has_leader;
            }
        }
    }
    return n;
}

uint32_t source_leaderless(const struct source *s)
{
    return s->n_leaderless;
}

static void count_partitions(const struct source *s,
                             const struct rd_kafka_metadata *all, int32_t *n)
{
    for (uint32_t i = 0; i < s->n_topics; i++) {
        n[i] = 0;
        for (int k = 0; k < all->topic_cnt; k++) {
            const struct rd_kafka_metadata_topic *t = &all->topics[k];

            if (!t->err && strcmp(t->topic, s->topics[i].name) == 0) {
                n[i] = t->partition_cnt;
            }
        }
    }
}

/* One question about every topic that this handle knows: those of the plan. */
bool source_partitions(struct source *s, int32_t *n, struct err *e)
{
    const struct rd_kafka_metadata *all;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(s->rk, 0, NULL, &all, TOPICS_TIMEOUT_MS);

    if (code && s->cure) {
        return err_set(e, ERR_CONFIG, "Kafka at %s: %s (%s)", s->brokers,
                       s->cure, s->failure);
    }
    if (code) {
        return err_set(e, kafka_error_class(code),
                       "Kafka at %s does not answer: %s; does it run, and is "
                       "brokers in kafka{} right?",
                       s->brokers, rd_kafka_err2str(code));
    }
    count_partitions(s, all, n);
    note_leaders(s, all);
    group_brokers(s, all);
    rd_kafka_metadata_destroy(all);
    return true;
}

bool source_look_for_leaders(struct source *s, uint32_t *n)
{
    const struct rd_kafka_metadata *all;

    *n = 0;
    if (rd_kafka_metadata(s->rk, 0, NULL, &all, ENDS_TIMEOUT_MS)) {
        return false;
    }
    *n = note_leaders(s, all);
    group_brokers(s, all);
    rd_kafka_metadata_destroy(all);
    return true;
}

static bool must_tell(const struct lane *l)
{
    return l->is_assigned && !l->needs_claim &&
           (l->is_halted ? l->position > l->advised
                         : l->position != l->advised);
}

/* The lanes from [from] on, as many as a question takes: where the rest begins,
 * or NULL. */
static struct lane *tell_some(struct source *s, struct lane *from)
{
    partitions *list = rd_kafka_topic_partition_list_new(16);
    struct lane *l = from;

    for (; l && list->cnt < SLICE; l = l->next) {
        if (must_tell(l)) {
            rd_kafka_topic_partition_list_add(list, l->topic, l->partition)
                ->offset = l->position;
            l->advised = l->position;
        }
    }
    if (list->cnt > 0) {
        rd_kafka_commit(s->rk, list, 1); /* asynchronous; only advice */
    }
    rd_kafka_topic_partition_list_destroy(list);
    return l;
}

/* A member whose session has passed has no id until it joins again. A broker
 * that was started anew and read of its old id takes an offset from it for a
 * second process of its name, which librdkafka does not survive. */
void source_commit(struct source *s)
{
    struct lane *l = rd_kafka_assignment_lost(s->rk) ? NULL : s->lanes;

    while (l) {
        l = tell_some(s, l);
    }
}

bool source_has_told(const struct lane *l)
{
    return l->advised == l->position;
}

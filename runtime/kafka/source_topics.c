/*
 * What Kafka shows of the topics: how many partitions each has, and which broker
 * leads each. A partition without a leader is there, and nobody tells anything
 * of it.
 */
#include <string.h>

#include "base/arena.h"
#include "kafka/errors.h"
#include "kafka/source_part.h"
#include "model/deadlines.h"

/* Asked again and again as long as Kafka is away, so an answer is waited for
 * briefly: a worker that is told to stop must hear it. */
enum { TOPICS_TIMEOUT_MS = 1000 };

/* librdkafka 2.4 and 2.10 (its #4970). */
enum { DAMAGES_SINCE = 0x02040000, DAMAGES_NO_MORE = 0x020a0000 };

static void note_leader(struct source *s, struct partition *p, bool has_leader)
{
    struct err e;

    if (has_leader && p->has_no_leader) {
        p->led_at = loop_now(s->loop);
    }
    p->has_no_leader = !has_leader;
    if (has_leader && !p->trouble[0]) {
        return;
    }
    err_set(&e, ERR_CONNECTION,
            "%s/%d has no leader: the brokers that keep it are away, and "
            "nothing comes of it until one is back",
            p->topic, p->number);
    if (!has_leader) {
        trouble_of(s, p, &e);
    } else if (strncmp(p->trouble, e.text, sizeof(p->trouble) - 1) == 0) {
        p->trouble[0] = '\0';
    }
}

static void keep_leaders(struct source *s,
                         const struct rd_kafka_metadata_topic *topic)
{
    struct topic *t = topics_find(s, topic->topic);
    int32_t n = topic->partition_cnt;

    if (!t || n == 0) {
        return;
    }
    t->leaders = mem_grow(t->leaders, (size_t)n * sizeof(*t->leaders));
    t->n_leaders = n;
    for (int32_t i = 0; i < n; i++) {
        int32_t id = topic->partitions[i].id;

        if (id >= 0 && id < n) {
            t->leaders[id] = topic->partitions[i].leader;
        }
    }
}

bool source_damages_cache(int version)
{
    return version >= DAMAGES_SINCE && version < DAMAGES_NO_MORE;
}

enum source_cache source_cache(const struct source *s)
{
    return s->cache;
}

/* One that Kafka never had comes to no harm. */
void topics_missed(struct source *s, const char *name)
{
    const struct topic *t = topics_find(s, name);

    if (t && t->n_leaders > 0 && s->cache == CACHE_WELL &&
        source_damages_cache(rd_kafka_version())) {
        s->cache = CACHE_DAMAGED;
    }
}

static bool has_topic(const struct rd_kafka_metadata *all, const char *name)
{
    for (int i = 0; i < all->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *t = &all->topics[i];

        if (strcmp(t->topic, name) == 0) {
            return !t->err && t->partition_cnt > 0;
        }
    }
    return false;
}

static void note_cache(struct source *s, const struct rd_kafka_metadata *all)
{
    bool has_all = true;

    if (s->cache != CACHE_DAMAGED) {
        return;
    }
    for (uint32_t i = 0; i < s->n_topics; i++) {
        has_all = has_all && has_topic(all, s->topics[i].name);
    }
    s->cache = has_all ? CACHE_OVER : CACHE_DAMAGED;
}

/* How many of ours have none. */
static uint32_t note_leaders(struct source *s,
                             const struct rd_kafka_metadata *all)
{
    uint32_t n = 0;

    s->n_leaderless = 0;
    for (int t = 0; t < all->topic_cnt; t++) {
        const struct rd_kafka_metadata_topic *topic = &all->topics[t];

        keep_leaders(s, topic);
        for (int i = 0; i < topic->partition_cnt; i++) {
            bool has_leader = topic->partitions[i].leader >= 0;
            struct partition *p =
                source_partition(s, topic->topic, topic->partitions[i].id);

            s->n_leaderless += !has_leader;
            if (p && (p->is_fetching || p->is_offered || p->is_left_out)) {
                note_leader(s, p, has_leader);
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

/* A topic that may not be seen is not one that was deleted. */
static int32_t count(struct topic *t, const struct rd_kafka_metadata_topic *m)
{
    t->refusal = m->err;
    return !m->err ? m->partition_cnt
           : m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                   m->err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION
               ? 0
               : -1;
}

void source_no_partitions(const struct source *s, uint32_t topic, struct err *e)
{
    const struct topic *t = &s->topics[topic];
    char said[512];

    err_set(e, kafka_error_class(t->refusal),
            "topic %s: Kafka at %s does not tell of it: %s", t->name,
            s->brokers, kafka_error_said(t->refusal, said, sizeof(said)));
}

static void count_partitions(const struct source *s,
                             const struct rd_kafka_metadata *all, int32_t *n)
{
    for (uint32_t i = 0; i < s->n_topics; i++) {
        n[i] = 0;
        for (int k = 0; k < all->topic_cnt; k++) {
            const struct rd_kafka_metadata_topic *t = &all->topics[k];

            if (strcmp(t->topic, s->topics[i].name) == 0) {
                n[i] = count(&s->topics[i], t);
            }
        }
    }
}

/* One question about every topic that this handle knows: those of the plan. */
bool source_count_partitions(struct source *s, int32_t *n, struct err *e)
{
    const struct rd_kafka_metadata *all;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(s->rk, 0, NULL, &all, TOPICS_TIMEOUT_MS);

    if (code && s->hint) {
        return err_set(e, ERR_CONFIG, "Kafka at %s: %s (%s)", s->brokers,
                       s->hint, s->failure);
    }
    if (code) {
        return err_set(e, kafka_error_class(code),
                       "Kafka at %s does not answer: %s; does it run, and is "
                       "brokers in kafka{} right?",
                       s->brokers, rd_kafka_err2str(code));
    }
    count_partitions(s, all, n);
    note_leaders(s, all);
    note_cache(s, all);
    group_brokers(s, all);
    rd_kafka_metadata_destroy(all);
    return true;
}

bool source_look_for_leaders(struct source *s, uint32_t *n)
{
    const struct rd_kafka_metadata *all;

    *n = 0;
    if (rd_kafka_metadata(s->rk, 0, NULL, &all, KAFKA_SHORT_MS)) {
        return false;
    }
    *n = note_leaders(s, all);
    note_cache(s, all);
    group_brokers(s, all);
    rd_kafka_metadata_destroy(all);
    return true;
}

/*
 * Questions to the brokers, each with a timeout, and the one thing they are
 * told: positions, for lag tools. Nothing rests on what Kafka keeps of them.
 */
#include <string.h>

#include "kafka/consumer.h"
#include "kafka/errors.h"

/* A third of the limit for heartbeats, which stop while we wait. The topics
 * are asked for again and again as long as Kafka is away, so that answer is
 * waited for more briefly: a worker that is told to stop must hear it. */
enum { ASK_TIMEOUT_MS = 5000, TOPICS_TIMEOUT_MS = 1000 };

static const char COMMITTED[] = "the offset that the group committed";

static bool failed(const struct source *s, const struct lane *lane,
                   const char *what, rd_kafka_resp_err_t code, struct err *e)
{
    return err_set(e, kafka_error_class(code),
                   "%s/%d: Kafka at %s does not tell %s: %s", lane->topic,
                   lane->partition, s->brokers, what, rd_kafka_err2str(code));
}

bool source_watermarks(struct source *s, const struct lane *lane, int64_t *low,
                       int64_t *high, struct err *e)
{
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        s->rk, lane->topic, lane->partition, low, high, ASK_TIMEOUT_MS);

    return !code || failed(s, lane, "which offsets it has", code, e);
}

static rd_kafka_topic_partition_list_t *list_of(const struct lane *lane,
                                                int64_t offset)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, lane->topic, lane->partition)
        ->offset = offset;
    return list;
}

/* The answer in a list of one, which is freed. */
static rd_kafka_resp_err_t answer(rd_kafka_topic_partition_list_t *list,
                                  rd_kafka_resp_err_t code, int64_t *offset)
{
    if (!code) {
        code = list->elems[0].err;
        *offset = list->elems[0].offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

bool source_offset_at(struct source *s, const struct lane *lane, int64_t ms,
                      int64_t *offset, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = list_of(lane, ms);
    rd_kafka_resp_err_t code = answer(
        list, rd_kafka_offsets_for_times(s->rk, list, ASK_TIMEOUT_MS), offset);
    int64_t low;

    if (code) {
        return failed(s, lane, "the offset of a time", code, e);
    }
    /* No record is that young: the end. */
    return *offset >= 0 || source_watermarks(s, lane, &low, offset, e);
}

static bool read_committed(const struct source *s, struct lane *const *lanes,
                           const rd_kafka_topic_partition_list_t *list,
                           int64_t *offsets, struct err *e)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];

        if (at->err) {
            return failed(s, lanes[i], COMMITTED, at->err, e);
        }
        offsets[i] = at->offset < 0 ? -1 : at->offset;
        lanes[i]->advised = offsets[i];
    }
    return true;
}

bool source_committed(struct source *s, struct lane *const *lanes, uint32_t n,
                      int64_t *offsets, struct err *e)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)n);
    rd_kafka_resp_err_t code;
    bool ok;

    for (uint32_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, lanes[i]->topic,
                                          lanes[i]->partition);
    }
    code = rd_kafka_committed(s->rk, list, ASK_TIMEOUT_MS);
    ok = code ? failed(s, lanes[0], COMMITTED, code, e)
              : read_committed(s, lanes, list, offsets, e);
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
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
    rd_kafka_metadata_destroy(all);
    return true;
}

/* A member whose session has passed has no id until it joins again. A broker
 * that was started anew and read of its old id takes an offset from it for a
 * second process of its name, which librdkafka does not survive. */
void source_commit(struct source *s)
{
    if (rd_kafka_assignment_lost(s->rk)) {
        return;
    }
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(16);

    for (struct lane *l = s->lanes; l; l = l->next) {
        if (l->is_assigned && !l->needs_claim &&
            (l->is_halted ? l->position > l->advised
                          : l->position != l->advised)) {
            rd_kafka_topic_partition_list_add(list, l->topic, l->partition)
                ->offset = l->position;
            l->advised = l->position;
        }
    }
    if (list->cnt > 0) {
        rd_kafka_commit(s->rk, list, 1); /* asynchronous; only advice */
    }
    rd_kafka_topic_partition_list_destroy(list);
}

bool source_has_told(const struct lane *l)
{
    return l->advised == l->position;
}

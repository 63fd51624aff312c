/*
 * Questions to the brokers, each with a timeout, and the one thing they are
 * told: positions, for lag tools. Nothing rests on what Kafka keeps of them.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "kafka/errors.h"
#include "kafka/source_part.h"
#include "model/deadlines.h"

/* Lanes a question: librdkafka looks each answer up in a list, so many more
 * would take it longer than the broker. */
enum { SLICE = 500 };
/* Brokers that are waited for one by one: with more the claim has to wait. */
enum { LATE_MOST = 2 };

typedef rd_kafka_topic_partition_list_t topic_list;

struct offsets_question {
    int64_t about; /* what stands in the list for the answer */
    int timeout_ms;
    bool of_leaders; /* each partition's is asked, not the coordinator */
    rd_kafka_resp_err_t (*ask)(rd_kafka_t *rk, topic_list *list, int ms);
};

/* For want of an answer: any partition's of the same broker would be as late. */
static bool is_late(rd_kafka_resp_err_t code)
{
    return code < 0 && kafka_error_class(code) == ERR_CONNECTION;
}

static void fill(int *codes, uint32_t n, int code)
{
    for (uint32_t i = 0; i < n; i++) {
        codes[i] = code;
    }
}

/* A code for all of the list, or 0 and one for each partition. */
static rd_kafka_resp_err_t ask_once(struct source *s,
                                    const struct offsets_question *q,
                                    struct partition *const *partitions,
                                    uint32_t n, int64_t *offsets, int *codes)
{
    topic_list *list = rd_kafka_topic_partition_list_new((int)n);
    rd_kafka_resp_err_t code;

    for (uint32_t i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, partitions[i]->topic,
                                          partitions[i]->number)
            ->offset = q->about;
    }
    code = q->ask(s->rk, list, q->timeout_ms);
    for (uint32_t i = 0; i < n; i++) {
        offsets[i] = list->elems[i].offset;
        codes[i] = code ? code : list->elems[i].err;
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (s->alive) {
        s->alive(s->arg);
    }
    return code;
}

/* librdkafka mostly gives one code for all: what refuses is found by halves.
 * False: for want of an answer. */
static bool ask_slice(struct source *s, const struct offsets_question *q,
                      struct partition *const *partitions, uint32_t n,
                      int64_t *offsets, int *codes)
{
    rd_kafka_resp_err_t code = ask_once(s, q, partitions, n, offsets, codes);
    uint32_t half = n / 2;

    if (!code || n == 1 || is_late(code)) {
        return !is_late(code);
    }
    if (!ask_slice(s, q, partitions, half, offsets, codes)) {
        fill(codes + half, n - half, codes[0]);
        return false;
    }
    return ask_slice(s, q, partitions + half, n - half, offsets + half,
                     codes + half);
}

/* Nothing is asked any more once one answer is late. */
static bool ask_in_time(struct source *s, const struct offsets_question *q,
                        struct partition *const *partitions, uint32_t n,
                        int64_t *offsets, int *codes)
{
    for (uint32_t i = 0; i < n; i += SLICE) {
        uint32_t some = n - i < SLICE ? n - i : SLICE;

        if (!ask_slice(s, q, partitions + i, some, offsets + i, codes + i)) {
            fill(codes + i, n - i, RD_KAFKA_RESP_ERR__TIMED_OUT);
            return false;
        }
    }
    return true;
}

enum { NO_LEADER = -1, NOT_KNOWN = -2 };

static int32_t leader_of(struct source *s, const struct partition *p)
{
    const struct topic *t = topics_find(s, p->topic);

    return t && p->number < t->n_leaders ? t->leaders[p->number] : NOT_KNOWN;
}

/* Some of the partitions. */
struct some {
    struct partition **partitions; /* owned, as the others */
    uint32_t *at;                  /* where they stand among all */
    int64_t *offsets;
    int *codes;
    uint32_t n;
};

static void open_some(struct some *some, uint32_t n)
{
    *some =
        (struct some){.partitions = mem_zero(n + 1, sizeof(struct partition *)),
                      .at = mem_zero(n + 1, sizeof(uint32_t)),
                      .offsets = mem_zero(n + 1, sizeof(int64_t)),
                      .codes = mem_zero(n + 1, sizeof(int))};
}

static void close_some(struct some *some)
{
    free(some->partitions);
    free(some->at);
    free(some->offsets);
    free(some->codes);
}

static void add(struct some *some, struct partition *p, uint32_t at)
{
    some->partitions[some->n] = p;
    some->at[some->n++] = at;
}

static void give_back(const struct some *some, int64_t *offsets, int *codes)
{
    for (uint32_t i = 0; i < some->n; i++) {
        offsets[some->at[i]] = some->offsets[i];
        codes[some->at[i]] = some->codes[i];
    }
}

/* The late partitions of one broker. False: it did not answer. */
static bool ask_leader(struct source *s, const struct offsets_question *q,
                       const struct some *all, int32_t leader,
                       struct some *some)
{
    bool ok;

    some->n = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        if (is_late(all->codes[i]) &&
            leader_of(s, all->partitions[i]) == leader) {
            add(some, all->partitions[i], i);
        }
    }
    ok = ask_in_time(s, q, some->partitions, some->n, some->offsets,
                     some->codes);
    for (uint32_t i = 0; i < some->n; i++) { /* not to be asked once more */
        some->codes[i] = is_late(some->codes[i])
                             ? RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT
                             : some->codes[i];
    }
    give_back(some, all->offsets, all->codes);
    return ok;
}

/* A broker that stands still, and leads all the same, must not keep the others
 * from telling: broker by broker, until some were late. */
static void ask_apart(struct source *s, const struct offsets_question *q,
                      struct some *all)
{
    struct offsets_question brief = *q;
    struct some some;
    uint32_t n_late = 0;

    open_some(&some, all->n);
    brief.timeout_ms = q->timeout_ms / 2;
    for (uint32_t i = 0; i < all->n && n_late < LATE_MOST; i++) {
        if (is_late(all->codes[i])) {
            n_late += !ask_leader(s, &brief, all,
                                  leader_of(s, all->partitions[i]), &some);
        }
    }
    close_some(&some);
}

static bool has_leaders(struct source *s, const struct some *all)
{
    uint32_t i = 1;

    while (i < all->n && leader_of(s, all->partitions[i]) ==
                             leader_of(s, all->partitions[0])) {
        i++;
    }
    return i < all->n;
}

static uint32_t count_answers(const int *codes, uint32_t n)
{
    uint32_t n_answers = 0;

    for (uint32_t i = 0; i < n; i++) {
        n_answers += !codes[i];
    }
    return n_answers;
}

/* Nobody can be asked about a partition without a leader, and librdkafka would
 * look for one for as long as it may. */
static void ask(struct source *s, const struct offsets_question *q,
                struct partition *const *partitions, uint32_t n,
                int64_t *offsets, int *codes)
{
    struct some led;

    open_some(&led, n);
    for (uint32_t i = 0; i < n; i++) {
        if (q->of_leaders && leader_of(s, partitions[i]) == NO_LEADER) {
            codes[i] = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        } else {
            add(&led, partitions[i], i);
        }
    }
    if (!ask_in_time(s, q, led.partitions, led.n, led.offsets, led.codes) &&
        q->of_leaders && has_leaders(s, &led)) {
        ask_apart(s, q, &led);
    }
    give_back(&led, offsets, codes);
    close_some(&led);
}

void source_alive(struct source *s, loop_fn alive)
{
    s->alive = alive;
}

void source_no_offsets(const struct source *s, const struct partition *p,
                       int code, struct err *e)
{
    char said[512];

    /* Said of a partition that is there, and has no leader. */
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) {
        code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    }
    err_set(e, kafka_error_class(code),
            "%s/%d: Kafka at %s does not tell which offsets it has: %s",
            p->topic, p->number, s->brokers,
            kafka_error_said(code, said, sizeof(said)));
}

/* What was left out of an answer is as good as refused. */
static void note_missing(const int64_t *offsets, uint32_t n, int *codes)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!codes[i] && offsets[i] < 0) {
            codes[i] = RD_KAFKA_RESP_ERR__BAD_MSG;
        }
    }
}

/* The same of those partitions alone that were told of before. */
static void ask_more(struct source *s, const struct offsets_question *q,
                     struct partition *const *partitions, uint32_t n,
                     int64_t *offsets, int *codes)
{
    struct some told;

    open_some(&told, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!codes[i]) {
            add(&told, partitions[i], i);
        }
    }
    ask(s, q, told.partitions, told.n, told.offsets, told.codes);
    note_missing(told.offsets, told.n, told.codes);
    give_back(&told, offsets, codes);
    close_some(&told);
}

static void note_ends(struct partition *const *partitions, uint32_t n,
                      const int64_t *ends, const int *codes)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!codes[i] && ends[i] >= 0) {
            partitions[i]->high = ends[i];
        }
    }
}

void source_watermarks(struct source *s, struct partition *const *partitions,
                       uint32_t n, int64_t *low, int64_t *high, int *codes)
{
    /* A time below zero asks for an end of the partition. */
    static const struct offsets_question first = {RD_KAFKA_OFFSET_BEGINNING,
                                                  KAFKA_ANSWER_MS, true,
                                                  rd_kafka_offsets_for_times},
                                         last = {RD_KAFKA_OFFSET_END,
                                                 KAFKA_ANSWER_MS, true,
                                                 rd_kafka_offsets_for_times};

    ask(s, &first, partitions, n, low, codes);
    note_missing(low, n, codes);
    ask_more(s, &last, partitions, n, high, codes);
    note_ends(partitions, n, high, codes);
}

bool source_ends(struct source *s, struct partition *const *partitions,
                 uint32_t n, int64_t *ends, int *codes)
{
    static const struct offsets_question q = {
        RD_KAFKA_OFFSET_END, KAFKA_SHORT_MS, true, rd_kafka_offsets_for_times};

    ask(s, &q, partitions, n, ends, codes);
    note_ends(partitions, n, ends, codes);
    return count_answers(codes, n) == n;
}

void source_offsets_at(struct source *s, struct partition *const *partitions,
                       uint32_t n, int64_t ms, int64_t *offsets, int *codes)
{
    const struct offsets_question q = {ms, KAFKA_ANSWER_MS, true,
                                       rd_kafka_offsets_for_times};

    ask(s, &q, partitions, n, offsets, codes);
}

void source_committed(struct source *s, struct partition *const *partitions,
                      uint32_t n, int64_t *offsets, int *codes)
{
    static const struct offsets_question q = {
        RD_KAFKA_OFFSET_INVALID, KAFKA_ANSWER_MS, false, rd_kafka_committed};

    ask(s, &q, partitions, n, offsets, codes);
    for (uint32_t i = 0; i < n; i++) {
        offsets[i] = codes[i] || offsets[i] < 0 ? -1 : offsets[i];
        if (!codes[i]) {
            partitions[i]->advised = offsets[i];
        }
    }
}

static bool must_tell(const struct partition *p)
{
    return p->is_assigned && p->tell >= 0 && p->tell != p->advised;
}

/* The partitions from [from] on, as many as a question takes: where the rest
 * begins, or NULL. */
static struct partition *tell_some(struct source *s, struct partition *from)
{
    topic_list *list = rd_kafka_topic_partition_list_new(16);
    struct partition *p = from;

    for (; p && list->cnt < SLICE; p = p->next) {
        if (must_tell(p)) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->number)
                ->offset = p->tell;
            p->advised = p->tell;
        }
        p->tell = -1; /* it is said anew each time */
    }
    if (list->cnt > 0) {
        rd_kafka_commit(s->rk, list, 1); /* asynchronous; only advice */
    }
    rd_kafka_topic_partition_list_destroy(list);
    return p;
}

void source_tell(struct partition *p, int64_t position)
{
    p->tell = position;
}

/* A member whose session has passed has no id until it joins again. A broker
 * that was started anew and read of its old id takes an offset from it for a
 * second process of its name, which librdkafka does not survive. */
void source_commit(struct source *s)
{
    struct partition *p =
        rd_kafka_assignment_lost(s->rk) ? NULL : s->partitions;

    while (p) {
        p = tell_some(s, p);
    }
}

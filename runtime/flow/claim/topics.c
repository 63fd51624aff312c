/* See topics.h. */
#include "flow/claim/topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/claim/left_out.h"
#include "flow/halt/halts.h"
#include "flow/show/show.h"
#include "flow/waits/waits.h"

static const usec LOOK_AGAIN_USEC = 2000000;
/* Longer than it takes the others of a group to claim what they were given. */
static const usec UNREAD_USEC = 10000000;
/* What still is nobody's has a reason of its own, such as another worker's claim
 * that fails; lanes should not change hands for it for ever. */
enum { MAX_REJOINS = 6 };

void topics_open(struct topics *ts, struct worker *w, struct halts *h,
                 struct waits *waits)
{
    uint32_t n = w->now->plan->source.n_topics;

    *ts = (struct topics){.worker = w,
                          .halts = h,
                          .waits = waits,
                          .of = mem_zero(n + 1, sizeof(*ts->of)),
                          .n = n};
}

void topics_close(struct topics *ts)
{
    free(ts->of);
}

static bool has_all(struct topics *ts, struct err *e)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        if (ts->of[i].n_partitions < 0) {
            source_no_partitions(ts->worker->source, i, e);
            return false;
        }
        if (ts->of[i].n_partitions == 0) {
            return err_set(e, ERR_CONFIG,
                           "topic %s does not exist on %s: create it, or "
                           "correct `topics` in %s",
                           ts->worker->now->plan->source.topics[i],
                           ts->worker->now->plan->source.brokers,
                           ts->worker->now->plan->path);
        }
    }
    return true;
}

/* A lane that the page has no room for would be in no figure and in no end. */
static bool has_room(struct topics *ts, const int32_t *n, struct err *e)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < ts->n; i++) {
        sum += n[i] > 0 ? n[i] : 0;
    }
    if (sum <= PAGE_LANES) {
        return true;
    }
    ts->worker->fatal = WORKER_CONFIG;
    return err_set(e, ERR_CONFIG,
                   "the topics have %" PRId64 " partitions, more than the %d "
                   "that one run can keep: share the topics of %s out among "
                   "several pipelines, each with a group of its own",
                   sum, PAGE_LANES, ts->worker->now->plan->path);
}

void topics_show_all(struct topics *ts)
{
    for (uint32_t t = 0; t < ts->n; t++) {
        if (!show_lists(&ts->worker->show,
                        ts->worker->now->plan->source.topics[t],
                        ts->of[t].n_partitions)) {
            return;
        }
    }
    page_set_all(ts->worker->show.page);
}

static bool ask(struct topics *ts, struct err *e)
{
    int32_t *n = mem_zero(ts->n + 1, sizeof(*n));
    bool ok = source_count_partitions(ts->worker->source, n, e);

    for (uint32_t i = 0; i < ts->n; i++) {
        ts->of[i].n_partitions = ok ? n[i] : -1;
    }
    ok = ok && has_room(ts, n, e) && has_all(ts, e);
    if (ok) {
        topics_show_all(ts);
    }
    free(n);
    return ok;
}

void topics_look(struct topics *ts)
{
    struct err e;
    bool ok = ask(ts, &e);

    if (!ok && ts->worker->fatal) {
        log_line(LOG_ERROR, "the pipeline cannot run", "error=%s",
                 log_quote(e.text));
        loop_stop(ts->worker->loop);
        return;
    }
    if (ok || page_has_all(ts->worker->show.page)) {
        show_reason(&ts->worker->show, REASON_TOPICS, "", "");
        return;
    }
    ts->worker->lanes.claim_at = worker_now(ts->worker) + LOOK_AGAIN_USEC;
    ts->worker->show.counts->errors[e.class]++;
    if (strncmp(ts->worker->show.reasons[REASON_TOPICS], e.text, 100) != 0) {
        log_line(LOG_WARN, "waiting for Kafka", "error=%s", log_quote(e.text));
    }
    show_reason(&ts->worker->show, REASON_TOPICS, "", e.text);
}

void topics_tick(struct topics *ts)
{
    if (ts->worker->show.reasons[REASON_TOPICS][0] &&
        page_has_all(ts->worker->show.page)) {
        show_reason(&ts->worker->show, REASON_TOPICS, "", "");
    }
}

int64_t topics_index_of(const struct topics *ts, const char *topic)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        if (strcmp(ts->worker->now->plan->source.topics[i], topic) == 0) {
            return i;
        }
    }
    return -1;
}

/* Any claim ends that halt: the partition has come back. */
static const char ANY_GENERATION[] = "any";

bool topics_is_gone(const struct topic_state *t, int32_t partition)
{
    return t->n_partitions >= 0 && partition >= t->n_partitions;
}

uint32_t topics_count(const struct topics *ts, const struct lane *lane)
{
    const struct page *page = ts->worker->show.page;
    int32_t asked = ts->of[lane->topic_index].n_partitions;
    uint32_t n = (uint32_t)lane->partition + 1;

    n = asked > (int32_t)n ? (uint32_t)asked : n;
    for (uint32_t i = 0, n_lanes = page_n_lanes(page); i < n_lanes; i++) {
        const struct page_lane *l = &page->lanes[i];

        if (strcmp(l->topic, lane->topic) == 0 &&
            (uint32_t)l->partition + 1 > n) {
            n = (uint32_t)l->partition + 1;
        }
    }
    return n;
}

/* Nobody owns it, so whoever sees it first speaks for it. */
static void say_gone(struct topics *ts, struct position *at,
                     int32_t n_partitions)
{
    struct page_lane *p =
        page_lane(ts->worker->show.page, at->topic, at->partition);
    struct err e;

    err_set(&e, ERR_CONFIG,
            "%s/%d: there is no such partition any more, the topic has %d: it "
            "was deleted, or created again with fewer; what was applied stays. "
            "`tidemill lane resume` lets it go, at position %" PRId64,
            at->topic, at->partition, n_partitions, at->next_offset);
    if (show_gone(p, at->next_offset, e.text)) {
        log_line(LOG_ERROR, "a partition is gone; the other lanes go on",
                 "lane=%s/%d position=%" PRId64 " error=%s", at->topic,
                 at->partition, at->next_offset, log_quote(e.text));
    }
    if (!at->halted[0]) {
        at->halted_since = p ? p->halted_since : 0;
        halts_note(ts->halts, at, e.text, ANY_GENERATION);
    }
}

/* What another worker has it does not look at, and shows as running. */
static bool is_said(struct topics *ts, const struct position *at)
{
    const struct page_lane *p =
        page_lane(ts->worker->show.page, at->topic, at->partition);

    return at->halted[0] && p && p->worker >= 0 &&
           p->worker != (int32_t)ts->worker->show.slot;
}

/* A person has seen to it: see position_listed. */
static bool is_let_go(const struct position *at)
{
    return at->is_rewound && !at->halted[0];
}

/* It is ours, and waits for its claim, which is no matter of the group. */
static bool is_ours(const struct lane *l)
{
    return l->kafka->is_offered && !l->kafka->has_no_leader;
}

static int64_t count_ours(struct topics *ts)
{
    int64_t n = 0;

    for (struct lane *l = ts->worker->lanes.first; l; l = l->after) {
        n += is_ours(l);
    }
    return n;
}

/* Partitions of Kafka that are in no row of the list, and not ours. One without
 * a leader is claimed once it has one, whoever has it. */
static uint32_t count_unread(struct topics *ts, const struct pg_result *lanes)
{
    int64_t n =
        -(int64_t)source_leaderless(ts->worker->source) - count_ours(ts);

    for (uint32_t i = 0; i < ts->n; i++) {
        int32_t there = ts->of[i].n_partitions;

        n += there > 0 ? there : 0;
    }
    for (int i = 0; i < pg_rows(lanes); i++) {
        struct position at = position_listed(lanes, (uint32_t)i);
        int64_t t = topics_index_of(ts, at.topic);
        bool is_there = t >= 0 && at.partition < ts->of[t].n_partitions;
        const struct lane *l =
            is_there ? lanes_find(ts->worker->source, at.topic, at.partition)
                     : NULL;

        n -= is_there && !(l && is_ours(l));
    }
    return n > 0 ? (uint32_t)n : 0;
}

/*
 * A static member that comes back is given what it had, without a rebalance. So
 * partitions that Kafka got meanwhile are nobody's, and librdkafka, which looks
 * for changes since its own start, sees none. The leader of the group has them
 * shared out by joining again; who that is nobody is told.
 */
static void join_again(struct topics *ts, uint32_t n_unread)
{
    usec now = worker_now(ts->worker);
    struct err e;

    if (ts->n_unread == 0) {
        ts->rejoins = 0;
    }
    if (ts->n_unread == 0 || ts->waits->apart_since) { /* it is being joined */
        ts->unread_at = now;
    }
    ts->n_unread = n_unread;
    if (n_unread == 0 || now < ts->unread_at + UNREAD_USEC ||
        ts->rejoins == MAX_REJOINS) {
        return;
    }
    ts->unread_at = now;
    ts->rejoins++;
    log_line(LOG_WARN, "partitions are read by nobody; joining the group again",
             "partitions=%u", n_unread);
    if (!source_rejoin(ts->worker->source, &e)) {
        log_line(LOG_WARN, "kafka", "error=%s", log_quote(e.text));
    }
}

/* A worker without lanes has never claimed any, and may be the leader. */
bool topics_wants_list(struct topics *ts)
{
    if (!ts->is_listed && ts->of[0].n_partitions == 0) {
        topics_look(ts);
    }
    return !ts->is_listed || ts->has_gone || ts->n_unread > 0 ||
           others_want_list(ts->waits);
}

void topics_known(struct topics *ts, const struct pg_result *lanes)
{
    ts->is_listed = true;
    join_again(ts, count_unread(ts, lanes));
    ts->has_gone = false;
    for (int i = 0; i < pg_rows(lanes); i++) {
        struct position at = position_listed(lanes, (uint32_t)i);
        int64_t t = topics_index_of(ts, at.topic);

        if (t < 0) {
            continue;
        }
        struct topic_state *state = &ts->of[t];

        at.topic =
            ts->worker->now->plan->source.topics[t]; /* outlives the answer */
        state->is_known = true;
        others_listed(ts->waits, &at);
        if (!topics_is_gone(state, at.partition)) {
            continue;
        }
        if (is_let_go(&at)) {
            show_let_go(
                page_lane(ts->worker->show.page, at.topic, at.partition));
        } else {
            ts->has_gone = true;
            if (left_out_lost(ts->worker, at.topic, at.partition) &&
                !is_said(ts, &at)) {
                say_gone(ts, &at, state->n_partitions);
            }
        }
    }
}

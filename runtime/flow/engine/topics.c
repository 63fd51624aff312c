/* See topics.h. */
#include "flow/engine/topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/engine/engine.h"
#include "flow/engine/left_out.h"
#include "flow/halt/halts.h"
#include "flow/show/show.h"

static const usec LOOK_AGAIN_USEC = 2000000;
/* Longer than it takes the others of a group to claim what they were given. */
static const usec UNREAD_USEC = 10000000;
/* What still is nobody's has a reason of its own, such as another worker's claim
 * that fails; lanes should not change hands for it for ever. */
enum { MAX_REJOINS = 6 };

static bool has_all(struct engine *g, struct err *e)
{
    for (uint32_t i = 0; i < g->worker.now->plan->source.n_topics; i++) {
        if (g->claim.topics[i].n_partitions < 0) {
            source_topic_untold(g->worker.source, i, e);
            return false;
        }
        if (g->claim.topics[i].n_partitions == 0) {
            return err_set(e, ERR_CONFIG,
                           "topic %s does not exist on %s: create it, or "
                           "correct `topics` in %s",
                           g->worker.now->plan->source.topics[i],
                           g->worker.now->plan->source.brokers,
                           g->worker.now->plan->path);
        }
    }
    return true;
}

/* A lane that the page has no room for would be in no figure and in no end. */
static bool has_room(struct engine *g, const int32_t *n, struct err *e)
{
    int64_t sum = 0;

    for (uint32_t i = 0; i < g->worker.now->plan->source.n_topics; i++) {
        sum += n[i] > 0 ? n[i] : 0;
    }
    if (sum <= PAGE_LANES) {
        return true;
    }
    g->worker.fatal = WORKER_CONFIG;
    return err_set(e, ERR_CONFIG,
                   "the topics have %" PRId64 " partitions, more than the %d "
                   "that one run can keep: share the topics of %s out among "
                   "several pipelines, each with a group of its own",
                   sum, PAGE_LANES, g->worker.now->plan->path);
}

void topics_show_all(struct engine *g)
{
    for (uint32_t t = 0; t < g->worker.now->plan->source.n_topics; t++) {
        if (!show_lists(&g->worker.show, g->worker.now->plan->source.topics[t],
                        g->claim.topics[t].n_partitions)) {
            return;
        }
    }
    g->worker.show.page->all_lanes = 1;
}

static bool ask(struct engine *g, struct err *e)
{
    uint32_t n_topics = g->worker.now->plan->source.n_topics;
    int32_t *n = mem_zero(n_topics + 1, sizeof(*n));
    bool ok = source_count_partitions(g->worker.source, n, e);

    for (uint32_t i = 0; i < n_topics; i++) {
        g->claim.topics[i].n_partitions = ok ? n[i] : -1;
    }
    ok = ok && has_room(g, n, e) && has_all(g, e);
    if (ok) {
        topics_show_all(g);
    }
    free(n);
    return ok;
}

void topics_look(struct engine *g)
{
    struct err e;
    bool ok = ask(g, &e);

    if (!ok && g->worker.fatal) {
        log_line(LOG_ERROR, "the pipeline cannot run", "error=%s",
                 log_quote(e.text));
        loop_stop(g->worker.loop);
        return;
    }
    if (ok || g->worker.show.page->all_lanes) {
        show_reason(&g->worker.show, REASON_TOPICS, "", "");
        return;
    }
    g->worker.lanes.claim_at = worker_now(&g->worker) + LOOK_AGAIN_USEC;
    g->worker.show.counts->errors[e.class]++;
    if (strncmp(g->worker.show.reasons[REASON_TOPICS], e.text, 100) != 0) {
        log_line(LOG_WARN, "waiting for Kafka", "error=%s", log_quote(e.text));
    }
    show_reason(&g->worker.show, REASON_TOPICS, "", e.text);
}

void topics_tick(struct engine *g)
{
    if (g->worker.show.reasons[REASON_TOPICS][0] &&
        g->worker.show.page->all_lanes) {
        show_reason(&g->worker.show, REASON_TOPICS, "", "");
    }
}

static int64_t find(const struct engine *g, const char *topic)
{
    for (uint32_t i = 0; i < g->worker.now->plan->source.n_topics; i++) {
        if (strcmp(g->worker.now->plan->source.topics[i], topic) == 0) {
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

uint32_t topics_count(const struct engine *g, const struct lane *lane)
{
    int32_t asked = g->claim.topics[lane->topic_index].n_partitions;
    uint32_t n = (uint32_t)lane->partition + 1;

    n = asked > (int32_t)n ? (uint32_t)asked : n;
    for (uint32_t i = 0; i < g->worker.show.page->n_lanes; i++) {
        const struct page_lane *l = &g->worker.show.page->lanes[i];

        if (strcmp(l->topic, lane->topic) == 0 &&
            (uint32_t)l->partition + 1 > n) {
            n = (uint32_t)l->partition + 1;
        }
    }
    return n;
}

/* Nobody owns it, so whoever sees it first speaks for it. */
static void say_gone(struct engine *g, struct position *at,
                     int32_t n_partitions)
{
    struct page_lane *p =
        page_lane(g->worker.show.page, at->topic, at->partition);
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
        halts_note(&g->halts, at, e.text, ANY_GENERATION);
    }
}

/* What another worker has it does not look at, and shows as running. */
static bool is_said(struct engine *g, const struct position *at)
{
    const struct page_lane *p =
        page_lane(g->worker.show.page, at->topic, at->partition);

    return at->halted[0] && p && p->worker >= 0 &&
           p->worker != (int32_t)g->worker.show.slot;
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

static int64_t count_ours(struct engine *g)
{
    int64_t n = 0;

    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        n += is_ours(l);
    }
    return n;
}

/* Partitions of Kafka that are in no row of the list, and not ours. One without
 * a leader is claimed once it has one, whoever has it. */
static uint32_t count_unread(struct engine *g, const struct pg_result *lanes)
{
    int64_t n = -(int64_t)source_leaderless(g->worker.source) - count_ours(g);

    for (uint32_t i = 0; i < g->worker.now->plan->source.n_topics; i++) {
        int32_t there = g->claim.topics[i].n_partitions;

        n += there > 0 ? there : 0;
    }
    for (int i = 0; i < pg_rows(lanes); i++) {
        struct position at = position_listed(lanes, (uint32_t)i);
        int64_t t = find(g, at.topic);
        bool is_there =
            t >= 0 && at.partition < g->claim.topics[t].n_partitions;
        const struct lane *l =
            is_there ? lanes_find(g->worker.source, at.topic, at.partition)
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
static void join_again(struct engine *g, uint32_t n_unread)
{
    struct claim *c = &g->claim;
    usec now = worker_now(&g->worker);
    struct err e;

    if (c->n_unread == 0) {
        c->rejoins = 0;
    }
    if (c->n_unread == 0 || g->waits.apart_since) { /* it is being joined */
        c->unread_at = now;
    }
    c->n_unread = n_unread;
    if (n_unread == 0 || now < c->unread_at + UNREAD_USEC ||
        c->rejoins == MAX_REJOINS) {
        return;
    }
    c->unread_at = now;
    c->rejoins++;
    log_line(LOG_WARN, "partitions are read by nobody; joining the group again",
             "partitions=%u", n_unread);
    if (!source_rejoin(g->worker.source, &e)) {
        log_line(LOG_WARN, "kafka", "error=%s", log_quote(e.text));
    }
}

/* A worker without lanes has never claimed any, and may be the leader. */
bool topics_wants_list(struct engine *g)
{
    if (!g->claim.is_listed && g->claim.topics[0].n_partitions == 0) {
        topics_look(g);
    }
    return !g->claim.is_listed || g->claim.has_gone || g->claim.n_unread > 0 ||
           others_want_list(&g->waits);
}

void topics_known(struct engine *g, const struct pg_result *lanes)
{
    g->claim.is_listed = true;
    join_again(g, count_unread(g, lanes));
    g->claim.has_gone = false;
    for (int i = 0; i < pg_rows(lanes); i++) {
        struct position at = position_listed(lanes, (uint32_t)i);
        int64_t t = find(g, at.topic);

        if (t < 0) {
            continue;
        }
        struct topic_state *state = &g->claim.topics[t];

        at.topic =
            g->worker.now->plan->source.topics[t]; /* outlives the answer */
        state->is_known = true;
        others_listed(&g->waits, &at);
        if (!topics_is_gone(state, at.partition)) {
            continue;
        }
        if (is_let_go(&at)) {
            show_let_go(page_lane(g->worker.show.page, at.topic, at.partition));
        } else {
            g->claim.has_gone = true;
            if (left_out_lost(g->worker.source, at.topic, at.partition,
                              worker_now(&g->worker)) &&
                !is_said(g, &at)) {
                say_gone(g, &at, state->n_partitions);
            }
        }
    }
}

/* See waits.h. */
#include "flow/waits/waits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/show/lane_waits.h"
#include "flow/show/show.h"
#include "model/deadlines.h"

#define SECONDS 1000000ULL

static const usec ANSWER_USEC = 10 * SECONDS; /* that is awaited */
/* Longer than a session that has to end and the rebalance behind it. */
static const usec APART_USEC = 30 * SECONDS;
static const usec SHAKEN_USEC = 60 * SECONDS;
static const usec WELL_USEC = 30 * SECONDS, UNWELL_USEC = 5 * SECONDS;
static const usec ENDS_USEC = 10 * SECONDS, NO_ENDS_USEC = 60 * SECONDS;

/* ---- of a lane ---- */

/* Also of a lane that waits for other transactions: that hides no other wait. The
 * first one is in the words of the worker. */
static void tell_lanes(struct waits *w, usec now)
{
    char first_why[sizeof(((struct page_lane *)0)->message)] = "";
    const struct lane *first = NULL;

    for (struct lane *l = w->needs.lanes->first; l; l = l->after) {
        const struct page_lane *p = l->page;
        char why[sizeof(first_why)];

        if (!p || p->worker != (int32_t)w->needs.show->slot ||
            p->state == PAGE_LANE_HALTED) {
            continue;
        }
        if (lane_waits_for_kafka(l, now, why, sizeof(why)) == WAIT_NONE) {
            l->is_logged = false;
            continue;
        }
        if (!first) {
            first = l;
            memcpy(first_why, why, sizeof(first_why));
        }
        if (!l->is_logged) {
            l->is_logged = true;
            log_line(LOG_WARN, "lane stands; the others go on",
                     "lane=%s/%d position=%" PRId64 " why=%s", l->topic,
                     l->partition, l->position, log_quote(why));
        }
    }
    show_reason_of(w->needs.show, REASON_STANDS, first, first_why);
}

/* One without a leader, or of which Kafka did not tell, would only be late. */
static bool wants_end(const struct lane *l)
{
    return lane_is_left_out(l)
               ? !l->left_out.has_no_answer && !l->kafka->has_no_leader
               : l->kafka->is_out && lane_is_ours(l);
}

/* librdkafka tells the ends of partitions that it reads. Those of lanes that are
 * halted, or wait for their claim, are asked for, or their lag would stay what it
 * was. */
static void look_at_halted(struct waits *w, usec now)
{
    struct partition **list = NULL;
    int64_t *ends;
    int *codes;
    uint32_t n = 0;

    for (struct lane *l = w->needs.lanes->first; l; l = l->after) {
        if (wants_end(l)) {
            list = mem_grow(list, (n + 1) * sizeof(struct partition *));
            list[n++] = l->kafka;
        }
    }
    ends = mem_zero(n + 1, sizeof(*ends));
    codes = mem_zero(n + 1, sizeof(*codes));
    bool ok = n == 0 || source_ends(w->needs.source, list, n, ends, codes);

    w->halted_at = now + (ok ? ENDS_USEC : NO_ENDS_USEC);
    free(codes);
    free(ends);
    free(list);
}

/* ---- of the worker ---- */

/* What a batch waits for is told by run/held_up.c. */
static bool find_claim(struct waits *w, usec now, char *out, size_t size)
{
    if (!w->claim.asked_at || now <= w->claim.asked_at + ANSWER_USEC) {
        return false;
    }
    snprintf(out, size,
             "the database has not answered for %d s to the claim of %u "
             "lanes: it is slow, or somebody has locked tidemill.lane as a "
             "whole; pg_stat_activity shows who",
             whole_seconds(w->claim.asked_at, now), w->claim.n_lanes);
    return true;
}

void waits_open(struct waits *w, const struct waits_needs *n)
{
    w->needs = *n;
    waits_apart(w);
}

void waits_follow(struct waits *w, const struct plan *p)
{
    w->needs.plan = p;
}

void waits_apart(struct waits *w)
{
    w->apart_since = loop_clock(w->needs.show->loop);
}

void waits_joined(struct waits *w)
{
    w->has_joined = true;
    w->apart_since = 0;
    w->joined_at[w->n_joined++ % MANY_REBALANCES] =
        loop_clock(w->needs.show->loop);
}

/* So many within a minute are no start of workers, but a loop. */
static bool is_shaken(const struct waits *w, usec now)
{
    return w->n_joined >= MANY_REBALANCES &&
           w->joined_at[w->n_joined % MANY_REBALANCES] + SHAKEN_USEC > now;
}

static bool find_shaken(struct waits *w, usec now, char *out, size_t size)
{
    if (!is_shaken(w, now)) {
        return false;
    }
    snprintf(out, size,
             "the Kafka group '%.100s' has shared out its partitions %d times "
             "within a minute: a member comes and goes, and nothing can be "
             "worked on between",
             w->needs.plan->source.group, MANY_REBALANCES);
    return true;
}

static bool find_apart(struct waits *w, usec now, char *out, size_t size)
{
    const char *kafka = source_failure(w->needs.source);
    usec grace = w->has_joined ? APART_USEC : ANSWER_USEC;

    if (!w->apart_since || now < w->apart_since + grace) {
        return false;
    }
    snprintf(out, size,
             "the Kafka group '%.100s' has given this worker nothing to read "
             "for %d s%s%s",
             w->needs.plan->source.group, whole_seconds(w->apart_since, now),
             kafka[0] ? ": " : "; a member of it may hold up its rebalance",
             kafka);
    return true;
}

static bool find_damaged(struct waits *w, usec now, char *out, size_t size)
{
    (void)now;
    if (source_cache(w->needs.source) == CACHE_WELL) {
        return false;
    }
    snprintf(out, size,
             "a topic is gone that was read, and this librdkafka (2.4 to 2.9) "
             "finds none that is made again: once all topics are there this "
             "worker ends, and another one begins");
    return true;
}

/* Each is told once while it lasts, however many last at a time. */
static void look(struct waits *w, usec now)
{
    static const struct {
        const char *name;
        bool (*find)(struct waits *w, usec now, char *out, size_t size);
    } kinds[] = {{"rebalances", find_shaken},
                 {"group", find_apart},
                 {"claim", find_claim},
                 {"topics", find_damaged}};
    char why[240], all[240] = "";
    size_t at = 0;

    for (uint32_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        uint32_t bit = 1U << i;

        if (!kinds[i].find(w, now, why, sizeof(why))) {
            w->logged &= ~bit;
            continue;
        }
        if (!(w->logged & bit)) {
            w->logged |= bit;
            log_line(LOG_WARN, "the run waits", "for=%s why=%s", kinds[i].name,
                     log_quote(why));
        }
        if (at < sizeof(all)) {
            at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s",
                                   at ? "; " : "", why);
        }
    }
    show_reason(w->needs.show, REASON_WORKER, "", all);
}

/* What Kafka said may be over, though nothing comes to show it. */
static void look_at_kafka(struct waits *w, usec now)
{
    bool is_well = source_cache(w->needs.source) == CACHE_WELL;
    usec each = !w->has_leaders || !is_well          ? LOOK_EVERY_USEC
                : source_failure(w->needs.source)[0] ? UNWELL_USEC
                                                     : WELL_USEC;
    uint32_t n;

    if (now < w->looked_at + each) {
        return;
    }
    if (source_look_for_leaders(w->needs.source, &n) && !w->apart_since) {
        source_is_well(w->needs.source);
    }
    w->has_leaders = n == 0;
    w->looked_at = now;
}

void waits_tick(struct waits *w, struct waits_claim claim, usec now)
{
    w->claim = claim;
    if (now < w->look_at) {
        return;
    }
    w->look_at = now + LOOK_EVERY_USEC;
    look(w, now);
    tell_lanes(w, now);
    look_at_kafka(w, now);
    if (now >= w->halted_at) {
        look_at_halted(w, now);
    }
    others_tick(w, now);
}

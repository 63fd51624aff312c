/*
 * Lanes that no worker of this run has. Another run of the pipeline may have
 * them: then its name stands as their owner in tidemill.lane, and it is a
 * member of the group. Or a consumer that is none of ours took them, or nobody
 * did: their records are read by no one, which has to show. One worker looks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/show/show.h"
#include "flow/waits/waits.h"

/* Another run of the pipeline has its lanes for good: this is only for workers
 * of ours that are started again. */
static const usec GRACE_USEC = 5 * 1000000ULL;
/* Of each lane: a session that ends, the rebalance behind it, and a claim. */
static const usec LOST_USEC = 15 * 1000000ULL;
/* Who has them, in the group and in tidemill.lane. */
static const usec ASK_USEC = 5 * 1000000ULL;

static bool speaks_for_all(const struct waits *w)
{
    for (uint32_t i = 0; i < w->needs.show->slot; i++) {
        if (w->needs.show->page->workers[i].pid != 0) {
            return false;
        }
    }
    return true;
}

static bool is_unowned(const struct page_lane *p)
{
    return p->state == PAGE_LANE_UNOWNED && p->worker < 0 && !p->is_let_go;
}

static uint32_t count_unowned(const struct waits *w)
{
    const struct page *page = w->needs.show->page;
    uint32_t n = 0;

    for (uint32_t i = 0, n_lanes = page_n_lanes(page); i < n_lanes; i++) {
        n += is_unowned(&page->lanes[i]);
    }
    return n;
}

bool others_want_list(const struct waits *w)
{
    usec now = loop_clock(w->needs.show->loop);

    return w->unowned_since && now > w->unowned_since + GRACE_USEC &&
           now > w->listed_at + ASK_USEC;
}

void others_listed(struct waits *w, const struct position *at)
{
    struct page_lane *p =
        page_lane(w->needs.show->page, at->topic, at->partition);

    w->listed_at = loop_clock(w->needs.show->loop);
    if (p && is_unowned(p)) {
        p->stored = at->next_offset;
        snprintf(p->owner, sizeof(p->owner), "%s", at->owner);
    }
}

/* [name] is GROUP-INSTANCE-SLOT of any worker of this run. */
static bool is_ours(const struct waits *w, const char *name)
{
    const char *slot =
        w->needs.instance ? strrchr(w->needs.instance, '-') : NULL;

    return slot &&
           strncmp(w->needs.instance, name,
                   (size_t)(slot - w->needs.instance) + 1) == 0 &&
           strspn(name + (slot - w->needs.instance) + 1, "0123456789") ==
               strlen(name + (slot - w->needs.instance) + 1);
}

/* By its name, a worker of another run. */
static bool is_of_pipeline(const char *group, const char *instance)
{
    size_t len = strlen(group);

    return strncmp(instance, group, len) == 0 && instance[len] == '-';
}

static void describe(const struct waits *w, struct page_lane *p,
                     enum holder_kind kind, const struct holder *h)
{
    const char *group = w->needs.plan->source.group;

    if (kind == HOLDER_NOBODY) {
        snprintf(p->message, sizeof(p->message),
                 "no member of group '%.100s' has it: its records are not "
                 "applied",
                 group);
    } else if (is_of_pipeline(group, h->instance)) {
        snprintf(p->message, sizeof(p->message),
                 "%.200s has it, but has not claimed it: see what that run "
                 "says; its records are not applied",
                 h->instance);
    } else {
        snprintf(p->message, sizeof(p->message),
                 "another member of group '%.80s' has it, and is none of this "
                 "pipeline's (client.id %.60s, host %.60s): its records are "
                 "not applied; give one of the two a group of its own",
                 group, h->client, h->host);
    }
}

/* True: somebody should know. */
static bool is_unread(struct waits *w, struct page_lane *p, usec now)
{
    struct holder h;
    enum holder_kind kind =
        source_holder(w->needs.source, p->topic, p->partition, &h);
    bool is_known = kind != HOLDER_UNKNOWN;
    bool is_claimed = kind == HOLDER_MEMBER && h.instance[0] &&
                      strcmp(h.instance, p->owner) == 0;
    bool is_lost = is_known && !is_claimed && !is_ours(w, h.instance);

    p->lost_since = !is_lost ? 0 : p->lost_since ? p->lost_since : now;
    p->waits =
        is_lost && now >= p->lost_since + LOST_USEC ? WAIT_BLOCKED : WAIT_NONE;
    p->message[0] = '\0';
    if (p->waits == WAIT_BLOCKED) {
        describe(w, p, kind, &h);
    } else if (is_claimed && !is_ours(w, p->owner)) {
        snprintf(p->message, sizeof(p->message), "read by %s", p->owner);
    }
    return p->waits == WAIT_BLOCKED;
}

static const usec ENDS_USEC = 10 * 1000000ULL;

/* Ends of those lanes: nobody else asks for them. */
static void ask_ends(struct waits *w, struct page_lane *const *lost, uint32_t n)
{
    struct partition *all = mem_zero(n, sizeof(*all));
    struct partition **list = mem_zero(n, sizeof(struct partition *));
    int64_t *low = mem_zero(2 * (size_t)n, sizeof(*low)), *high = low + n;
    int *codes = mem_zero(n, sizeof(*codes));

    for (uint32_t i = 0; i < n; i++) {
        all[i] = (struct partition){.topic = lost[i]->topic,
                                    .number = lost[i]->partition};
        list[i] = &all[i];
    }
    source_watermarks(w->needs.source, list, n, low, high, codes);
    for (uint32_t i = 0; i < n; i++) {
        if (!codes[i]) {
            lost[i]->first = low[i];
            lost[i]->high = high[i];
        }
    }
    free(codes);
    free(low);
    free(list);
    free(all);
}

static void tell(struct waits *w, const struct page_lane *first, uint32_t n)
{
    if (n > 0 && !w->has_logged_others) {
        log_line(LOG_WARN, "partitions are not read by this pipeline",
                 "lanes=%u first=%s/%d why=%s", n, first->topic,
                 first->partition, log_quote(first->message));
    } else if (n == 0 && w->has_logged_others) {
        log_line(LOG_INFO, "all partitions are read again", NULL);
    }
    w->has_logged_others = n > 0;
}

static void tell_unread(struct waits *w, usec now)
{
    struct page *page = w->needs.show->page;
    uint32_t n_lanes = page_n_lanes(page), n = 0;
    struct page_lane **lost = mem_zero(n_lanes + 1, sizeof(*lost));

    for (uint32_t i = 0; i < n_lanes; i++) {
        struct page_lane *p = &page->lanes[i];

        if (is_unowned(p) && is_unread(w, p, now)) {
            lost[n++] = p;
        }
    }
    if (n > 0 && now >= w->ends_at) {
        w->ends_at = now + ENDS_USEC;
        ask_ends(w, lost, n);
    }
    tell(w, lost[0], n);
    free(lost);
}

void others_tick(struct waits *w, usec now)
{
    /* One that is no member itself has nothing to say of the others. */
    if (!page_has_all(w->needs.show->page) || w->apart_since ||
        !speaks_for_all(w) || count_unowned(w) == 0) {
        w->unowned_since = 0;
        tell(w, NULL, 0);
        return;
    }
    if (!w->unowned_since) {
        w->unowned_since = now;
    }
    if (now > w->unowned_since + GRACE_USEC && now >= w->ask_at) {
        w->ask_at = now + ASK_USEC;
        tell_unread(w, now); /* by the last answer */
        source_ask_members(w->needs.source);
    }
}

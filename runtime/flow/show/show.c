/* See show.h. */
#include "flow/show/show.h"

#include <stdio.h>

#include "flow/show/lane_waits.h"

void show_init(struct show *s, struct page *page, uint32_t slot)
{
    *s = (struct show){
        .page = page, .counts = &page->workers[slot], .slot = slot};
}

/* Not before it is known that what Kafka has is what was read. */
static bool has_reached(const struct lane *l, const struct page_lane *p,
                        usec now)
{
    const struct partition *k = l->kafka;

    if (l->misfits || k->is_replaced ||
        (k->is_checking && now < k->check_until)) {
        return false;
    }

    bool at_eof = k->inbox.count == 0 && l->state != LANE_LEASED &&
                  k->eof >= p->end && k->eof >= k->fetched;

    /* The tail of a partition may be control records of transactions, which
     * move no position: the end of the partition counts then. */
    return p->end >= 0 && (l->position >= p->end || at_eof);
}

struct page_lane *show_entry(struct show *s, struct lane *l)
{
    if (!l->page) {
        l->page = page_lane(s->page, l->topic, l->partition);
    }
    if (l->page && l->page->worker != (int32_t)s->slot) {
        l->most = l->page->most; /* it was another one's */
        lane_place_again(l);
    }
    return l->page;
}

void show_seen(struct show *s, struct source *source, const char *topic,
               int32_t partition, int64_t *epoch, int64_t *position)
{
    const struct page_lane *p = page_lane(s->page, topic, partition);
    const struct lane *ours = lanes_find(source, topic, partition);

    *epoch = p ? p->epoch : 0;
    *position = *epoch > 0 ? p->position : -1;
    if (ours && ours->epoch > 0 && ours->epoch >= *epoch) {
        *epoch = ours->epoch;
        *position = ours->position >= 0 ? ours->position : *position;
    }
}

/* Where there is no entry the page may be full: that is told elsewhere. */
bool show_lists(struct show *s, const char *topic, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (!page_lane(s->page, topic, i) &&
            page_n_lanes(s->page) < PAGE_LANES) {
            return false;
        }
    }
    return n > 0;
}

static void show_wait(const struct lane *l, struct page_lane *p, usec now)
{
    p->waits = lane_waits(l, now, p->message, sizeof(p->message));
}

void show_lane(struct show *s, struct lane *l)
{
    struct page_lane *p = show_entry(s, l);
    int64_t high = l->kafka->high;

    if (!p) {
        return;
    }
    p->worker = (int32_t)s->slot;
    p->is_let_go = 0;
    p->lost_since = 0;
    p->position = l->position;
    p->epoch = l->epoch;
    p->most = l->most;
    p->letters = l->letters.n;
    if (high >= 0) {
        p->high = l->misfits || high > l->position ? high : l->position;
    }
    /* One in doubt is what it was. */
    if (lane_is_ours(l) ? !lane_is_halted(l) : p->state != PAGE_LANE_HALTED) {
        p->state = PAGE_LANE_RUNNING;
        show_wait(l, p, loop_clock(s->loop));
    }
    p->reached = has_reached(l, p, loop_clock(s->loop));
}

void show_unclaimed(struct show *s, struct lane *l)
{
    struct page_lane *p = show_entry(s, l);

    if (p) {
        p->worker = (int32_t)s->slot;
        p->state = PAGE_LANE_UNOWNED;
        p->high = l->kafka->high >= 0 ? l->kafka->high : p->high;
        show_wait(l, p, loop_clock(s->loop));
        p->reached = 0;
    }
}

void show_range(struct show *s, struct lane *l, int64_t high)
{
    struct page_lane *p = show_entry(s, l);

    if (p && p->end < 0) {
        p->end = high;
    }
    show_lane(s, l);
}

void show_halted(struct page_lane *p, const char *why)
{
    if (p) {
        if (p->state != PAGE_LANE_HALTED) {
            p->halted_since = wall_usec() / 1000000;
        }
        p->state = PAGE_LANE_HALTED;
        snprintf(p->message, sizeof(p->message), "%.390s", why);
    }
}

bool show_gone(struct page_lane *p, int64_t position, const char *why)
{
    bool is_news = p && (p->state != PAGE_LANE_HALTED || p->worker >= 0);

    if (is_news) {
        show_halted(p, why);
        p->worker = -1;
        p->position = position;
        p->reached = 0;
    }
    return is_news;
}

void show_let_go(struct page_lane *p)
{
    if (p) {
        p->state = PAGE_LANE_UNOWNED;
        p->worker = -1;
        p->message[0] = '\0';
        p->is_let_go = 1;
        p->reached = 1;
    }
}

/* All of them, the first ones first: one does not hide another. */
static void list_reasons(struct show *s)
{
    struct page_worker *w = s->counts;
    size_t at = 0, most = sizeof(w->waiting_for);

    w->waiting_for[0] = '\0';
    for (int i = 0; i < REASONS && at < most; i++) {
        if (s->reasons[i][0]) {
            at += (size_t)snprintf(w->waiting_for + at, most - at, "%s%s",
                                   at ? "; " : "", s->reasons[i]);
        }
    }
    w->is_ready = s->is_ready && !s->reasons[REASON_LANES][0] &&
                  !s->reasons[REASON_WORKER][0] &&
                  !s->reasons[REASON_TOPICS][0];
}

void show_reason(struct show *s, enum reason r, const char *what,
                 const char *why)
{
    snprintf(s->reasons[r], sizeof(s->reasons[r]), "%s%.240s", what, why);
    list_reasons(s);
}

void show_reason_of(struct show *s, enum reason r, const struct lane *l,
                    const char *why)
{
    char what[300] = "";

    if (l) {
        snprintf(what, sizeof(what), "lane %.200s/%d: ", l->topic,
                 l->partition);
    }
    show_reason(s, r, what, l ? why : "");
}

void show_waits(struct show *s, const char *what, const char *why)
{
    s->is_ready = s->is_troubled = false;
    show_reason(s, REASON_WORK, what, why);
}

void show_ready(struct show *s)
{
    s->is_troubled = false;
    s->is_ready = true;
    show_reason(s, REASON_WORK, "", "");
}

void show_trouble(struct show *s, const char *why)
{
    bool was_ready = s->is_ready || s->is_troubled;

    show_waits(s, "database: ", why);
    s->is_troubled = was_ready;
}

void show_trouble_over(struct show *s)
{
    if (s->is_troubled) {
        show_ready(s);
    }
}

void show_lost(struct show *s, struct lane *l)
{
    struct page_lane *p = l->page;

    if (p && p->worker == (int32_t)s->slot) {
        p->worker = -1;
        p->state = PAGE_LANE_UNOWNED;
        p->waits = WAIT_NONE;
        p->message[0] = '\0';
    }
}

usec show_stage(struct show *s, enum page_stage stage, usec since)
{
    usec now = loop_clock(s->loop);

    page_time(&s->counts->stages[stage], now - since);
    s->counts->heartbeat_usec = now;
    return now - since;
}

void show_starving(struct show *s, bool is_starving, usec now)
{
    if (s->starved_since) {
        s->counts->counters[COUNT_STARVED_USEC] += now - s->starved_since;
    }
    s->starved_since = is_starving ? now : 0;
}

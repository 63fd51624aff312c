/* See show.h. */
#include "flow/show/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "flow/lane/dossier.h"
#include "flow/show/lane_waits.h"

void show_init(struct show *s, struct page *page, uint32_t slot)
{
    *s = (struct show){
        .page = page, .counts = &page->workers[slot], .slot = slot};
}

/* Not before it is known that what Kafka has is what was read. */
static bool has_reached(const struct lane *l, const struct page_lane *p)
{
    if (l->is_doubted || (l->is_checking && clock_usec() < l->check_until)) {
        return false;
    }

    bool at_eof = l->inbox.count == 0 && !l->is_leased && l->eof >= p->end &&
                  l->eof >= l->fetched;

    /* The tail of a partition may be control records of transactions, which
     * move no position: the end of the partition counts then. */
    return p->end >= 0 && (l->position >= p->end || at_eof);
}

struct page_lane *show_entry(struct show *s, struct lane *l)
{
    struct page_lane *p = l->page;

    if (!p) {
        l->page = p = page_lane(s->page, l->topic, l->partition);
    }
    if (p && p->worker != (int32_t)s->slot) { /* it was another one's */
        l->most = p->most;
    }
    return p;
}

void show_seen(struct show *s, struct source *source, const struct lane *lane,
               int64_t *epoch, int64_t *position)
{
    const struct page_lane *p =
        page_lane(s->page, lane->topic, lane->partition);
    const struct lane *ours = source_lane(source, lane->topic, lane->partition);

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
        if (!page_lane(s->page, topic, i) && s->page->n_lanes < PAGE_LANES) {
            return false;
        }
    }
    return n > 0;
}

void show_lane(struct show *s, struct lane *l)
{
    struct page_lane *p = show_entry(s, l);

    if (!p) {
        return;
    }
    p->worker = (int32_t)s->slot;
    p->is_let_go = 0;
    p->lost_since = 0;
    p->position = l->position;
    p->epoch = l->epoch;
    p->most = l->most;
    p->letters = l->dossier ? ((struct dossier *)l->dossier)->n_letters : 0;
    if (l->high >= 0) {
        p->high =
            l->is_doubted || l->high > l->position ? l->high : l->position;
    }
    if (!l->is_halted) {
        p->state = PAGE_LANE_RUNNING;
        p->waits = lane_waits(l, clock_usec(), p->message, sizeof(p->message));
    }
    p->reached = has_reached(l, p);
}

void show_unclaimed(struct show *s, struct lane *l)
{
    struct page_lane *p = show_entry(s, l);

    if (p) {
        p->worker = (int32_t)s->slot;
        p->state = PAGE_LANE_UNOWNED;
        p->high = l->high >= 0 ? l->high : p->high;
        p->waits = lane_waits(l, clock_usec(), p->message, sizeof(p->message));
        p->reached = 0;
    }
}

void show_range(struct show *s, struct lane *l, int64_t high)
{
    struct page_lane *p = show_entry(s, l);

    l->high = high;
    if (p && p->end < 0) {
        p->end = high;
    }
    show_lane(s, l);
}

void show_halted(struct page_lane *p, const char *why)
{
    if (p) {
        if (p->state != PAGE_LANE_HALTED) {
            p->halted_since = (int64_t)time(NULL);
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
    usec now = clock_usec();

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

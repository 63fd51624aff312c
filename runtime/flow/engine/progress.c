/* See progress.h. */
#include "flow/engine/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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

struct page_lane *progress_page(struct engine *g, struct lane *l)
{
    struct page_lane *p = l->page;

    if (!p) {
        l->page = p = page_lane(g->page, l->topic, l->partition);
    }
    if (p && p->worker != (int32_t)g->slot) { /* it was another one's */
        l->most = p->most;
    }
    return p;
}

void progress_seen(struct engine *g, const struct lane *lane, int64_t *epoch,
                   int64_t *position)
{
    const struct page_lane *p =
        page_lane(g->page, lane->topic, lane->partition);
    const struct lane *ours =
        source_lane(g->source, lane->topic, lane->partition);

    *epoch = p ? p->epoch : 0;
    *position = *epoch > 0 ? p->position : -1;
    if (ours && ours->epoch > 0 && ours->epoch >= *epoch) {
        *epoch = ours->epoch;
        *position = ours->position >= 0 ? ours->position : *position;
    }
}

void progress_lane(struct engine *g, struct lane *l)
{
    struct page_lane *p = progress_page(g, l);

    if (!p) {
        return;
    }
    p->worker = (int32_t)g->slot;
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
        p->state = LANE_RUNNING;
        p->waits =
            waits_of_lane(l, clock_usec(), p->message, sizeof(p->message));
    }
    p->reached = has_reached(l, p);
}

void progress_unclaimed(struct engine *g, struct lane *l)
{
    struct page_lane *p = progress_page(g, l);

    if (p) {
        p->worker = (int32_t)g->slot;
        p->state = LANE_UNOWNED;
        p->high = l->high >= 0 ? l->high : p->high;
        p->waits =
            waits_of_lane(l, clock_usec(), p->message, sizeof(p->message));
        p->reached = 0;
    }
}

void progress_range(struct engine *g, struct lane *l, int64_t high)
{
    struct page_lane *p = progress_page(g, l);

    l->high = high;
    if (p && p->end < 0) {
        p->end = high;
    }
    progress_lane(g, l);
}

void progress_halted(struct page_lane *p, const char *why)
{
    if (p) {
        if (p->state != LANE_HALTED) {
            p->halted_since = (int64_t)time(NULL);
        }
        p->state = LANE_HALTED;
        snprintf(p->message, sizeof(p->message), "%.390s", why);
    }
}

bool progress_gone(struct page_lane *p, int64_t position, const char *why)
{
    bool is_news = p && (p->state != LANE_HALTED || p->worker >= 0);

    if (is_news) {
        progress_halted(p, why);
        p->worker = -1;
        p->position = position;
        p->reached = 0;
    }
    return is_news;
}

void progress_let_go(struct page_lane *p)
{
    if (p) {
        p->state = LANE_UNOWNED;
        p->worker = -1;
        p->message[0] = '\0';
        p->is_let_go = 1;
        p->reached = 1;
    }
}

/* All of them, the first ones first: one does not hide another. */
static void show_reasons(struct engine *g)
{
    struct page_worker *w = g->counts;
    size_t at = 0, most = sizeof(w->waiting_for);

    w->waiting_for[0] = '\0';
    for (int i = 0; i < REASONS && at < most; i++) {
        if (g->reasons[i][0]) {
            at += (size_t)snprintf(w->waiting_for + at, most - at, "%s%s",
                                   at ? "; " : "", g->reasons[i]);
        }
    }
    w->is_ready = g->is_ready && !g->reasons[REASON_LANES][0] &&
                  !g->reasons[REASON_WORKER][0] &&
                  !g->reasons[REASON_TOPICS][0];
}

void progress_reason(struct engine *g, enum reason r, const char *what,
                     const char *why)
{
    snprintf(g->reasons[r], sizeof(g->reasons[r]), "%s%.240s", what, why);
    show_reasons(g);
}

void progress_waits(struct engine *g, const char *what, const char *why)
{
    g->is_ready = g->database.is_shown = false;
    progress_reason(g, REASON_WORK, what, why);
}

void progress_ready(struct engine *g)
{
    g->database.is_shown = false;
    g->is_ready = true;
    progress_reason(g, REASON_WORK, "", "");
}

void progress_lost(struct engine *g, struct lane *l)
{
    struct page_lane *p = l->page;

    if (p && p->worker == (int32_t)g->slot) {
        p->worker = -1;
        p->state = LANE_UNOWNED;
        p->waits = WAIT_NONE;
        p->message[0] = '\0';
    }
}

/* Only what the position moved over: the rest comes again. */
static uint64_t count_events(const struct batch *b, const struct lease *l,
                             uint64_t *n)
{
    uint64_t events = 0;

    for (uint32_t e = l->first; e < l->first + lease_moved(l); e++) {
        uint8_t state = b->events.states[e];

        events += state == TM_EVENT_OK || state == TM_EVENT_SKIPPED;
        n[COUNT_EVENTS_SKIPPED] += state == TM_EVENT_SKIPPED;
        n[COUNT_EVENTS_IGNORED] +=
            state == TM_EVENT_OK && !(b->events.flags[e] & EVENT_WANTED);
    }
    return events;
}

/* A lane that did not move keeps the time it had, also where a record has
 * none. */
static void show_event_time(const struct batch *b, const struct lease *l)
{
    struct page_lane *p = l->lane->page;
    uint32_t moved = lease_moved(l);
    int64_t time_ms = moved ? b->records[l->first + moved - 1].time_ms : 0;

    if (p && time_ms > 0) {
        p->event_ms = time_ms;
    }
}

void progress_batch(struct engine *g, const struct batch *b)
{
    uint64_t *n = g->counts->counters;
    uint64_t average = g->counts->gauges[GAUGE_BATCH_AVERAGE];
    uint64_t events = 0;

    for (uint32_t i = 0; i < b->n_leases; i++) {
        events += count_events(b, &b->leases[i], n);
        show_event_time(b, &b->leases[i]);
    }
    for (uint32_t i = 0; i < b->n_rows; i++) {
        n[COUNT_REPEATED] += rows_repeated(&b->rows[i]);
    }
    n[COUNT_EVENTS] += events;
    n[COUNT_BATCHES]++;
    n[COUNT_ROWS_WRITTEN] += b->n_written;
    n[COUNT_ROWS_UNCHANGED] += b->n_unchanged;
    n[COUNT_COLUMN_FAULTS] += b->n_faults;
    n[COUNT_BYTES] += b->bytes;
    /* An average over about the last eight batches. */
    g->counts->gauges[GAUGE_BATCH_AVERAGE] =
        average ? (7 * average + events) / 8 : events;
}

usec progress_stage(struct engine *g, enum page_stage stage, usec since)
{
    usec now = clock_usec();

    page_time(&g->counts->stages[stage], now - since);
    g->counts->heartbeat_usec = now;
    return now - since;
}

/* The share of the limit is that of supervise/strikes.c, which calls a batch
 * late. */
void progress_step(struct batch *b, enum page_stage stage, usec since)
{
    usec share = b->engine->page->heartbeat_seconds * 1000000ULL / 4;
    usec took = progress_stage(b->engine, stage, since);
    enum batch_pace pace = took > share       ? BATCH_TOO_SLOW
                           : took > share / 2 ? BATCH_SLOW
                                              : BATCH_QUICK;

    b->pace = pace > b->pace ? pace : b->pace;
}

static void note_starving(struct engine *g, bool is_empty, bool has_lag,
                          usec now)
{
    if (g->starved_since) {
        g->counts->counters[COUNT_STARVED_USEC] += now - g->starved_since;
    }
    g->starved_since = is_empty && has_lag ? now : 0;
}

/* Bytes of a record, by those that were applied; librdkafka does not tell what
 * its queue holds. */
static uint64_t mean_record(const struct page_worker *w)
{
    return w->counters[COUNT_EVENTS]
               ? w->counters[COUNT_BYTES] / w->counters[COUNT_EVENTS]
               : 0;
}

void progress_tick(struct engine *g)
{
    uint64_t *gauge = g->counts->gauges;
    uint64_t events = 0;
    bool has_lag = false;

    g->counts->heartbeat_usec = clock_usec();
    gauge[GAUGE_POOL_SIZE] = g->pool ? pgpool_size(g->pool) : 0;
    gauge[GAUGE_POOL_IN_USE] = g->pool ? pgpool_in_use(g->pool) : 0;
    gauge[GAUGE_BATCHES_IN_FLIGHT] = g->n_batches - g->free.n;
    gauge[GAUGE_LUA_BYTES] = vm_bytes(g->vm);
    gauge[GAUGE_CACHE_BYTES] = g->cache.live_bytes;
    gauge[GAUGE_HELD_BYTES] = g->held.bytes;
    if (!g->source) {
        return;
    }
    progress_reason(g, REASON_KAFKA, "", source_failure(g->source));
    if (!g->page->all_lanes) {
        progress_all_lanes(g);
    }
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        events += l->inbox.count;
        has_lag |= l->is_assigned && !l->is_halted && l->high > l->position;
        if (l->is_assigned && !l->is_shelved) {
            progress_lane(g, l);
        } else if (l->is_shelved && !l->is_gone &&
                   (l->is_offered || l->is_assigned)) {
            progress_unclaimed(g, l);
        }
    }
    gauge[GAUGE_INBOX_EVENTS] = events;
    gauge[GAUGE_INBOX_BYTES] = source_inbox_bytes(g->source);
    gauge[GAUGE_PREFETCH_BYTES] =
        source_prefetched(g->source) * mean_record(g->counts);
    note_starving(g, events == 0, has_lag, g->counts->heartbeat_usec);
}

/* Where there is no entry the page may be full: that is told elsewhere. */
static bool is_listed(struct engine *g, const char *topic, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (!page_lane(g->page, topic, i) && g->page->n_lanes < PAGE_LANES) {
            return false;
        }
    }
    return n > 0;
}

void progress_all_lanes(struct engine *g)
{
    for (uint32_t t = 0; t < g->plan->source.n_topics; t++) {
        if (!is_listed(g, g->plan->source.topics[t],
                       g->claim.topics[t].n_partitions)) {
            return;
        }
    }
    g->page->all_lanes = 1;
}

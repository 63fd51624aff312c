/* See measure.h. */
#include "flow/batch/measure.h"

#include "flow/rows/table_set.h"

/* Only what the position moved over: the rest comes again. */
static uint64_t count_events(const struct batch *b, const struct lease *l,
                             uint64_t *n)
{
    uint32_t end = l->first + lease_moved(l);
    uint64_t events = 0;

    for (uint32_t e = l->first; e < end; e++) {
        uint8_t state = b->input.events.states[e];

        events += state == TM_EVENT_OK || state == TM_EVENT_SKIPPED;
        n[COUNT_EVENTS_SKIPPED] += state == TM_EVENT_SKIPPED;
        n[COUNT_EVENTS_IGNORED] +=
            state == TM_EVENT_OK && !(b->input.events.flags[e] & EVENT_WANTED);
    }
    return events;
}

/* A lane that did not move keeps the time it had, also where a record has
 * none. */
static void show_event_time(const struct batch *b, const struct lease *l)
{
    struct page_lane *p = l->lane->page;
    uint32_t moved = lease_moved(l);
    int64_t time_ms =
        moved ? b->input.records[l->first + moved - 1].time_ms : 0;

    if (p && time_ms > 0) {
        p->event_ms = time_ms;
    }
}

/* One clock for all: records of a batch are committed together. Those without a
 * time have no age. */
static void count_ages(struct page_times *ages, const struct batch *b,
                       const struct lease *l, int64_t now_ms)
{
    uint32_t end = l->first + lease_moved(l), bucket = 0;

    for (uint32_t e = l->first; e < end; e++) {
        uint8_t state = b->input.events.states[e];
        int64_t time_ms = b->input.records[e].time_ms;

        if (time_ms > 0 &&
            (state == TM_EVENT_OK || state == TM_EVENT_SKIPPED)) {
            int64_t age_ms = now_ms > time_ms ? now_ms - time_ms : 0;

            page_time_near(ages, page_age_bounds, (uint64_t)age_ms * 1000,
                           &bucket);
        }
    }
}

static bool is_moved(const struct batch *b, uint32_t event)
{
    const struct lease *l = &b->input.leases[b->input.records[event].lane];

    return event < l->first + lease_moved(l);
}

/* Events that entered rows of the projection, or that its batch function took.
 * Pairs of one event stand side by side. */
static uint64_t count_taken(const struct batch *b, const struct rows *r)
{
    const struct table_set *set = r->table_set;
    const uint32_t *events = set ? set->events : r->pair_event;
    uint32_t n = set ? set->n_events : r->n_pairs, last = UINT32_MAX;
    bool is_whole = batch_moved(b) == b->input.events.n;
    uint64_t taken = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t e = events[i];

        taken += e != last && b->input.events.states[e] == TM_EVENT_OK &&
                 (is_whole || is_moved(b, e));
        last = e;
    }
    return taken;
}

static void count_rows(struct show *s, const struct batch *b,
                       const struct rows *r)
{
    struct page_rows *p = page_rows(s->page, r->program->index, s->slot);

    s->counts->counters[COUNT_REPEATED] += rows_repeated(r);
    if (p) {
        p->events += count_taken(b, r);
        p->written += r->n_written;
        p->unchanged += r->n_unchanged;
    }
}

void measure_committed(struct show *s, const struct batch *b)
{
    uint64_t *n = s->counts->counters;
    uint64_t average = s->counts->gauges[GAUGE_BATCH_AVERAGE];
    uint64_t events = 0;
    int64_t now_ms = wall_usec() / 1000;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        events += count_events(b, &b->input.leases[i], n);
        count_ages(&s->counts->event_ages, b, &b->input.leases[i], now_ms);
        show_event_time(b, &b->input.leases[i]);
    }
    for (uint32_t i = 0; i < b->n_rows; i++) {
        count_rows(s, b, &b->rows[i]);
    }
    page_time(&s->counts->batches, loop_clock(s->loop) - b->input.leased_at);
    s->counts->committed_ms = now_ms;
    n[COUNT_EVENTS] += events;
    n[COUNT_BATCHES]++;
    n[COUNT_ROWS_WRITTEN] += b->outcome.n_written;
    n[COUNT_ROWS_UNCHANGED] += b->outcome.n_unchanged;
    n[COUNT_COLUMN_FAULTS] += b->input.n_faults;
    n[COUNT_BYTES] += b->input.bytes;
    /* An average over about the last eight batches. */
    s->counts->gauges[GAUGE_BATCH_AVERAGE] =
        average ? (7 * average + events) / 8 : events;
}

/* The share of the limit is that of supervise/watchdog.c, which calls a batch
 * late. */
void measure_step(struct show *s, struct batch *b, enum page_stage stage,
                  usec since)
{
    usec share = s->page->heartbeat_seconds * 1000000ULL / 4;
    usec took = show_stage(s, stage, since);
    enum batch_pace pace = took > share       ? BATCH_TOO_SLOW
                           : took > share / 2 ? BATCH_SLOW
                                              : BATCH_QUICK;

    b->scripts.pace = pace > b->scripts.pace ? pace : b->scripts.pace;
}

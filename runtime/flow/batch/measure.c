/* See measure.h. */
#include "flow/batch/measure.h"

/* Only what the position moved over: the rest comes again. */
static uint64_t count_events(const struct batch *b, const struct lease *l,
                             uint64_t *n)
{
    uint64_t events = 0;

    for (uint32_t e = l->first; e < l->first + lease_moved(l); e++) {
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

void measure_committed(struct show *s, const struct batch *b)
{
    uint64_t *n = s->counts->counters;
    uint64_t average = s->counts->gauges[GAUGE_BATCH_AVERAGE];
    uint64_t events = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        events += count_events(b, &b->input.leases[i], n);
        show_event_time(b, &b->input.leases[i]);
    }
    for (uint32_t i = 0; i < b->n_rows; i++) {
        n[COUNT_REPEATED] += rows_repeated(&b->rows[i]);
    }
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

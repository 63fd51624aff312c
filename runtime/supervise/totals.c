/* Sums over the page: see totals.h. */
#include "supervise/totals.h"

#include <string.h>

#include "admin/view.h"

static void add_worker(const struct page_worker *w, struct totals *out)
{
    for (int i = 0; i < COUNTERS; i++) {
        out->counters[i] += w->counters[i];
    }
    for (int i = ERR_NONE + 1; i < ERR_CLASSES; i++) {
        out->errors += w->errors[i];
    }
    out->commit_usec += w->stages[STAGE_COMMIT].usec;
    out->commit_count += page_times_count(&w->stages[STAGE_COMMIT]);
    out->workers_ready += w->pid != 0 && w->is_ready != 0;
}

void totals_read(const struct page *p, struct totals *out)
{
    memset(out, 0, sizeof(*out));
    for (uint32_t i = 0; i < p->n_workers; i++) {
        add_worker(&p->workers[i], out);
    }
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        out->lag += view_lag(&p->lanes[i]);
        out->lanes_running += p->lanes[i].state == PAGE_LANE_RUNNING;
        out->lanes_halted += p->lanes[i].state == PAGE_LANE_HALTED;
        out->letters += p->lanes[i].letters;
    }
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

struct pace totals_pace(const struct totals *from, const struct totals *to,
                        uint64_t elapsed_usec)
{
    double events =
        (double)(to->counters[COUNT_EVENTS] - from->counters[COUNT_EVENTS]);
    double batches =
        (double)(to->counters[COUNT_BATCHES] - from->counters[COUNT_BATCHES]);
    double commit_usec = (double)(to->commit_usec - from->commit_usec);
    double commits = (double)(to->commit_count - from->commit_count);
    return (struct pace){
        .events_per_second = ratio(events, (double)elapsed_usec / 1e6),
        .batch_events = ratio(events, batches),
        .commit_ms = ratio(commit_usec / 1e3, commits),
    };
}

const char *totals_waiting_for(const struct page *p)
{
    for (uint32_t i = 0; i < p->n_workers; i++) {
        const struct page_worker *w = &p->workers[i];
        if (w->is_ready == 0 && w->waiting_for[0] != '\0') {
            return w->waiting_for;
        }
    }
    return "a worker did not say what it waits for";
}

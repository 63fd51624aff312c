/* How things stand in a worker. See engine_part.h. */
#include "flow/engine/engine_part.h"

#include "flow/claim/topics.h"

static const usec SHOW_USEC = 1000000;

/* Bytes of a record, by those that were applied; librdkafka does not tell what
 * its queue holds. */
static uint64_t mean_record(const struct page_worker *w)
{
    return w->counters[COUNT_EVENTS]
               ? w->counters[COUNT_BYTES] / w->counters[COUNT_EVENTS]
               : 0;
}

/* What batches and claims change is shown at once; ends of partitions, and what
 * lasts, here. */
static void show_lanes(struct engine *g)
{
    uint64_t events = 0;

    g->has_lag = false;
    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        enum lane_state s = l->state == LANE_CLAIMING ? l->next : l->state;

        events += l->kafka->inbox.count;
        g->has_lag |= l->kafka->is_assigned && !lane_is_halted(l) &&
                      l->kafka->high > l->position;
        if (s == LANE_LEFT_OUT) {
            show_unclaimed(&g->worker.show, l);
        } else if (s != LANE_GONE && l->kafka->is_assigned) {
            show_lane(&g->worker.show, l);
        }
    }
    g->worker.show.counts->gauges[GAUGE_INBOX_EVENTS] = events;
}

void gauges_tick(struct engine *g)
{
    uint64_t *gauge = g->worker.show.counts->gauges;

    g->worker.show.counts->heartbeat_usec = worker_now(&g->worker);
    gauge[GAUGE_POOL_SIZE] = pgpool_size(g->worker.database.pool);
    gauge[GAUGE_POOL_IN_USE] = pgpool_in_use(g->worker.database.pool);
    gauge[GAUGE_POOL_MAX] = g->worker.now->plan->database.pool_max;
    gauge[GAUGE_BATCHES_IN_FLIGHT] = g->run.batches.n - g->run.batches.free.n;
    gauge[GAUGE_LUA_BYTES] =
        vm_bytes(g->worker.now->vm) +
        (g->worker.before ? vm_bytes(g->worker.before->vm) : 0);
    gauge[GAUGE_CACHE_BYTES] = g->run.cache.live_bytes;
    gauge[GAUGE_HELD_BYTES] = g->worker.lanes.held.bytes;
    if (!g->worker.source) {
        return;
    }
    show_reason(&g->worker.show, REASON_KAFKA, "",
                source_failure(g->worker.source));
    if (!page_has_all(g->worker.show.page)) {
        topics_show_all(&g->topics);
    }
    if (g->worker.show.counts->heartbeat_usec >=
        g->lanes_shown_at + SHOW_USEC) {
        g->lanes_shown_at = g->worker.show.counts->heartbeat_usec;
        show_lanes(g);
    }
    gauge[GAUGE_INBOX_BYTES] = source_inbox_bytes(g->worker.source);
    gauge[GAUGE_PREFETCH_BYTES] = source_prefetched(g->worker.source) *
                                  mean_record(g->worker.show.counts);
    show_starving(&g->worker.show, gauge[GAUGE_INBOX_BYTES] == 0 && g->has_lag,
                  g->worker.show.counts->heartbeat_usec);
}

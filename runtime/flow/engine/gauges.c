/* See gauges.h. */
#include "flow/engine/gauges.h"

#include "flow/engine/engine.h"
#include "flow/engine/topics.h"

/* Bytes of a record, by those that were applied; librdkafka does not tell what
 * its queue holds. */
static uint64_t mean_record(const struct page_worker *w)
{
    return w->counters[COUNT_EVENTS]
               ? w->counters[COUNT_BYTES] / w->counters[COUNT_EVENTS]
               : 0;
}

void gauges_tick(struct engine *g)
{
    uint64_t *gauge = g->show.counts->gauges;
    uint64_t events = 0;
    bool has_lag = false;

    g->show.counts->heartbeat_usec = clock_usec();
    gauge[GAUGE_POOL_SIZE] = pgpool_size(g->database.pool);
    gauge[GAUGE_POOL_IN_USE] = pgpool_in_use(g->database.pool);
    gauge[GAUGE_BATCHES_IN_FLIGHT] = g->n_batches - g->free.n;
    gauge[GAUGE_LUA_BYTES] = vm_bytes(g->vm);
    gauge[GAUGE_CACHE_BYTES] = g->cache.live_bytes;
    gauge[GAUGE_HELD_BYTES] = g->held.bytes;
    if (!g->source) {
        return;
    }
    show_reason(&g->show, REASON_KAFKA, "", source_failure(g->source));
    if (!g->show.page->all_lanes) {
        topics_show_all(g);
    }
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        events += l->inbox.count;
        has_lag |= l->is_assigned && !l->is_halted && l->high > l->position;
        if (l->is_assigned && !l->is_shelved) {
            show_lane(&g->show, l);
        } else if (l->is_shelved && !l->is_gone &&
                   (l->is_offered || l->is_assigned)) {
            show_unclaimed(&g->show, l);
        }
    }
    gauge[GAUGE_INBOX_EVENTS] = events;
    gauge[GAUGE_INBOX_BYTES] = source_inbox_bytes(g->source);
    gauge[GAUGE_PREFETCH_BYTES] =
        source_prefetched(g->source) * mean_record(g->show.counts);
    show_starving(&g->show, events == 0 && has_lag,
                  g->show.counts->heartbeat_usec);
}

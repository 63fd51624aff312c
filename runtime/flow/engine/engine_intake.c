/* What comes of the consumer, and what it is told. See engine_part.h. */
#include "flow/engine/engine_part.h"

#include "base/log.h"
#include "flow/show/show.h"

enum { PUMP_SLICE = 4096 }; /* messages a turn */

/* Lanes that were taken away stay in the list. */
static bool take_lanes(struct engine *g)
{
    bool has_any = false;

    lanes_take(&g->worker.lanes, source_partitions(g->worker.source));
    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        if (l->kafka->is_offered || l->kafka->is_assigned) {
            has_any = true;
        } else {
            show_lost(&g->worker.show, l);
        }
    }
    return has_any;
}

static void on_news(struct engine *g, enum source_news news,
                    const struct err *e)
{
    switch (news) {
    case NEWS_ASSIGNED:
        g->worker.show.counts->counters[COUNT_REBALANCES]++;
        waits_joined(&g->waits);
        if (!take_lanes(g)) { /* more workers than partitions */
            show_ready(&g->worker.show);
        }
        break;
    case NEWS_REVOKED:
        waits_apart(&g->waits);
        claim_void(&g->claim);
        take_lanes(g);
        break;
    case NEWS_FENCED:
        log_line(LOG_ERROR, "this instance id is in use elsewhere", "error=%s",
                 log_quote(e->text));
        g->worker.fatal = WORKER_FENCED;
        loop_stop(g->worker.loop);
        break;
    default:
        g->worker.show.counts->errors[e->class]++;
        log_line(LOG_WARN, "kafka", "error=%s", log_quote(e->text));
    }
}

static void take_news(struct engine *g)
{
    enum source_news news;
    struct err e;

    while ((news = source_news(g->worker.source, &e)) != NEWS_NONE) {
        on_news(g, news, &e);
    }
}

/* Records came into an empty inbox, or a partition was read to its end. */
static void take_noted(struct engine *g)
{
    struct partition *p;

    while ((p = source_noted(g->worker.source))) {
        struct lane *l = p->lane;

        if (!lane_is_ours(l)) {
            continue;
        }
        if (l->state == LANE_IDLE && p->inbox.count > 0) {
            lane_place(l);
        }
        halts_look(&g->halts, l);
        if (p->inbox.count == 0) {
            show_lane(&g->worker.show, l);
        }
    }
}

void intake_turn(struct engine *g)
{
    source_pump(g->worker.source, PUMP_SLICE); /* wakes us when there is more */
    take_news(g);
    take_noted(g);
}

/* For lag tools. A halted lane's only where that is more than Kafka knows: whether
 * the database is older must show again after a restart. */
void intake_tell(struct engine *g)
{
    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        bool is_newer = lane_is_ours(l) &&
                        (!lane_is_halted(l) || l->position > l->kafka->advised);

        if (is_newer) {
            source_tell(l->kafka, l->position);
        }
    }
    source_commit(g->worker.source);
}

/* See swap.h. */
#include "flow/engine/swap.h"

#include <string.h>

#include "flow/engine/engine.h"

static bool is_same(const char *what, const char *now, const char *then,
                    struct err *e)
{
    return strcmp(now, then) == 0 ||
           err_set(e, ERR_CONFIG,
                   "%s: this run has '%.100s', and '%.100s' cannot take its "
                   "place: start it anew",
                   what, now, then);
}

static bool has_same_topics(const struct plan_source *now,
                            const struct plan_source *then, struct err *e)
{
    if (now->n_topics != then->n_topics) {
        return err_set(e, ERR_CONFIG,
                       "topics: this run has %u of them, and %u cannot take "
                       "their place: start it anew",
                       now->n_topics, then->n_topics);
    }
    for (uint32_t i = 0; i < now->n_topics; i++) {
        if (!is_same("topics", now->topics[i], then->topics[i], e)) {
            return false;
        }
    }
    return true;
}

static bool is_of_worker(const struct engine *g, const struct plan *then,
                         struct err *e)
{
    const struct plan *now = g->worker.now->plan;

    return is_same("name", now->name, then->name, e) &&
           is_same("group", now->source.group, then->source.group, e) &&
           has_same_topics(&now->source, &then->source, e);
}

/* Who borrows of the generation of now. */
static void follow(struct engine *g)
{
    const struct generation *n = g->worker.now;

    database_follow(&g->worker.database, n->plan, n->bundle);
    publish_follow(&g->publish, n->plan, n->decoder);
    waits_follow(&g->waits, n->plan);
}

bool engine_swap(struct engine *g, struct generation *n, struct err *e)
{
    if (g->worker.before) {
        return err_set(e, ERR_CONFLICT,
                       "batches of the generation before are under way");
    }
    if (!is_of_worker(g, n->plan, e)) {
        return false;
    }
    if (!generation_is_like(g->worker.now, n)) {
        cache_ring_clear(&g->run.cache);
    }
    g->worker.before = g->worker.now;
    g->worker.now = n;
    follow(g);
    run_retire(&g->run);
    return true;
}

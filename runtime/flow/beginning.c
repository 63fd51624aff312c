/* See beginning.h. */
#include "flow/beginning.h"

#include <stdlib.h>

#include "flow/engine.h"

static bool must_say_start(struct engine *g, struct err *e)
{
    for (uint32_t i = 0; i < g->plan->n_projections; i++) {
        const struct plan_projection *p = &g->plan->projections[i];

        if (g->has_rows[i]) {
            return err_set(e, ERR_CONFIG,
                           "table %s has rows, but this pipeline has no "
                           "position yet: say in kafka{} where to start: "
                           "start = 'earliest', 'latest', 'group' or a time "
                           "(or empty the table)",
                           p->table);
        }
    }
    return true;
}

static bool offset_of(struct engine *g, struct lane *l, int64_t *out,
                      struct err *e)
{
    const struct plan_source *s = &g->plan->source;
    int64_t low, high;

    if (!source_watermarks(g->source, l, &low, &high, e)) {
        return false;
    }
    *out = low;
    if (g->claim.topics[l->topic_index].is_known) {
        return true;
    }
    switch (s->start) {
    case START_UNSAID:
        return must_say_start(g, e);
    case START_LATEST:
        *out = high;
        return true;
    case START_TIMESTAMP:
        return source_offset_at(g->source, l, s->start_ms, out, e);
    case START_GROUP:
        if (!source_committed(g->source, &l, 1, out, e)) {
            return false;
        }
        *out = *out < low ? low : *out;
        return true;
    default:
        return true;
    }
}

struct beginning {
    const char *topic;
    int32_t partition;
    int64_t offset;
};

struct beginnings {
    struct beginning *list; /* owned */
    uint32_t n;
};

static bool add(struct engine *g, struct beginnings *all, struct lane *l,
                struct err *e)
{
    int64_t offset;

    if (!offset_of(g, l, &offset, e)) {
        return false;
    }
    all->list = mem_grow(all->list, (all->n + 1) * sizeof(*all->list));
    all->list[all->n++] = (struct beginning){l->topic, l->partition, offset};
    return true;
}

/* Every partition of the topic: those behind are known from now on. */
static bool add_topic(struct engine *g, struct beginnings *all, uint32_t topic,
                      struct err *e)
{
    for (int32_t i = 0; i < g->claim.topics[topic].n_partitions; i++) {
        struct lane l = {.topic = g->plan->source.topics[topic],
                         .partition = i,
                         .topic_index = topic};

        if (!add(g, all, &l, e)) {
            return false;
        }
    }
    return true;
}

static bool is_of_now(const struct engine *g)
{
    return g->plan->source.start == START_LATEST ||
           g->plan->source.start == START_TIMESTAMP;
}

/* A lane whose topic begins here has been added with all of it, unless Kafka
 * has added its partition since it was asked. */
static bool collect(struct engine *g, struct beginnings *all, struct err *e)
{
    const struct claim *c = &g->claim;
    int64_t last_topic = -1;

    for (uint32_t i = 0; i < c->n; i++) {
        struct lane *l = c->claimed[i];
        uint32_t topic = l->topic_index;
        bool whole = is_of_now(g) && !c->topics[topic].is_known;

        if (c->lanes[i].found) {
            continue;
        }
        if (whole && last_topic != topic) {
            last_topic = topic;
            if (!add_topic(g, all, topic, e)) {
                return false;
            }
        }
        if ((!whole || l->partition >= c->topics[topic].n_partitions) &&
            !add(g, all, l, e)) {
            return false;
        }
    }
    return true;
}

/* Only the numbers may fail; nothing is queued before they are known. */
bool beginning_queue(struct engine *g, uint32_t *n_created, struct err *e)
{
    struct beginnings all = {0};
    bool ok = collect(g, &all, e);

    for (uint32_t i = 0; ok && i < all.n; i++) {
        position_create(g->claim.conn, g->plan, all.list[i].topic,
                        all.list[i].partition, all.list[i].offset);
    }
    *n_created = all.n;
    free(all.list);
    return ok;
}

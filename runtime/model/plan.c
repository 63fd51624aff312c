/* See plan.h. All that a plan points to lives in its arena. */
#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

void plan_free(const struct plan *p)
{
    struct plan *ours = (struct plan *)p;

    if (ours) {
        arena_close(&ours->arena);
        free(ours);
    }
}

bool plan_can_repeat(const struct plan_projection *p)
{
    return p->kind == KIND_MIRROR || p->kind == KIND_MAP || p->once >= 0;
}

bool plan_is_cached(const struct plan *p)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        if (p->projections[i].is_cached) {
            return true;
        }
    }
    return false;
}

static bool is_in(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool plan_reads(const struct plan_projection *p, const char *topic)
{
    return !p->topics || is_in(p->topics, p->n_topics, topic);
}

bool plan_ignores(const struct plan_projection *p, const char *type)
{
    return is_in(p->ignore, p->n_ignore, type);
}

bool plan_is_keyed_by_record(const struct plan_projection *p)
{
    if (p->kind == KIND_APPEND || p->kind == KIND_MERGE) {
        return false;
    }
    if (p->exact == EXACT_SHARED ||
        (p->newer >= 0 && (!p->follows_deletes || p->newer_deletes))) {
        return false;
    }
    for (uint32_t i = 0; i < p->n_key; i++) {
        if (p->columns[i].from != FROM_FIELD &&
            p->columns[i].from != FROM_KEY) {
            return false;
        }
    }
    return true;
}

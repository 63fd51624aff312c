/* See plan.h. All that a plan points to lives in its arena. */
#include "base/plan.h"

#include <stdlib.h>

void plan_free(struct plan *p)
{
    if (p) {
        arena_close(&p->arena);
        free(p);
    }
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

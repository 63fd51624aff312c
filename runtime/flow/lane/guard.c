/* See guard.h. */
#include "flow/lane/guard.h"

#include <stdlib.h>
#include <string.h>

void guard_init(struct guard *g, uint32_t limit)
{
    *g = (struct guard){.limit = limit};
    g->at = mem_zero(limit + 1, sizeof(*g->at));
}

void guard_close(struct guard *g)
{
    free(g->at);
}

struct guard *guard_copy(const struct guard *g, struct arena *a)
{
    struct guard *copy = arena_alloc(a, sizeof(*copy));

    *copy = *g;
    copy->at = arena_alloc(a, (g->limit + 1) * sizeof(*g->at));
    memcpy(copy->at, g->at, g->limit * sizeof(*g->at));
    return copy;
}

void guard_take(struct guard *g, const struct guard *copy)
{
    must(g->limit == copy->limit);
    memcpy(g->at, copy->at, g->limit * sizeof(*g->at));
    g->n = copy->n;
    g->first = copy->first;
}

bool guard_add(struct guard *g, uint64_t at)
{
    if (g->n < g->limit) {
        g->at[(g->first + g->n++) % g->limit] = at;
        return true;
    }
    if (g->limit == 0 || at - g->at[g->first] < GUARD_WINDOW) {
        return false;
    }
    g->at[g->first] = at;
    g->first = (g->first + 1) % g->limit;
    return true;
}

const char *guard_full(const struct guard *g, struct arena *a,
                       const char *reason)
{
    if (g->limit == 0) {
        return arena_printf(
            a,
            "the record failed, and max_share of dead_letters lets none be set "
            "aside; mend the pipeline and resume the lane (tidemill lane "
            "resume), or pass it over (tidemill lane skip). It failed with: "
            "%.250s",
            reason);
    }
    return arena_printf(a,
                        "more than %u of the last %d records failed, so this "
                        "is no matter of single records; mend the pipeline, "
                        "or resume the lane (tidemill lane resume). The last "
                        "one: %.250s",
                        g->limit, GUARD_WINDOW, reason);
}

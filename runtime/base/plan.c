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

/* See budget.h. */
#include "lua/budget.h"

#include <stdlib.h>

#include "base/arena.h"

void *budget_alloc(void *budget, void *p, size_t old_size, size_t size)
{
    struct budget *b = budget;
    void *out;

    if (size == 0) {
        b->used_bytes -= old_size;
        free(p);
        return NULL;
    }
    if (size > old_size && b->used_bytes - old_size + size > b->max_bytes) {
        return NULL;
    }
    out = realloc(p, size);
    if (!out) {
        mem_failed(size); /* the machine's memory: no script is to blame */
    }
    b->used_bytes += size - old_size;
    return out;
}

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
    /* Beyond the budget the script is to blame; no memory from the machine is
     * the end of the process, as everywhere. */
    out = mem_grow(p, size);
    b->used_bytes += size - old_size;
    return out;
}

#pragma once
/* How much memory one VM may take. Scripts are trusted but fallible: one that
 * grows without end gets "not enough memory" and is named, instead of the
 * machine running out. */
#include <stddef.h>
#include <stdint.h>

struct budget {
    uint64_t used_bytes;
    uint64_t max_bytes;
};

/* A lua_Alloc; [budget] is the struct budget. */
void *budget_alloc(void *budget, void *p, size_t old_size, size_t size);

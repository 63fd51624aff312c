#pragma once
/* Event types by dense numbers, which last as long as the decoder: handlers
 * are looked up by number. 0 is "no type". */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"

/* Numbers travel as 16 bits. */
enum { TYPES_MOST = UINT16_MAX };

struct types {
    struct hash names; /* numbers there are one less than here */
    struct arena arena;
    uint32_t last; /* given out last: one comparison finds it again */
};

void types_init(struct types *t);
void types_close(struct types *t);
/* 0 only when there are TYPES_MOST others already. */
uint32_t types_number(struct types *t, const char *name, size_t len);
/* NULL with *len 0 for 0 and for numbers not given out. */
const char *types_name(const struct types *t, uint32_t type, size_t *len);

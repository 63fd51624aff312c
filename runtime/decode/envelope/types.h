#pragma once
/*
 * Event types by dense numbers, which last as long as the decoder: handlers
 * are looked up by number. 0 is "no type". Types that a pipeline names have
 * numbers from the start. Of the others, which come with the data, the first
 * TYPES_MOST get numbers; all further ones share TYPES_OTHER: no handler has
 * their name, and each event keeps the name of its type.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "model/api.h"

enum {
    TYPES_MOST = 4096,
    TYPES_BYTES = 1024 * 1024,
    TYPES_OTHER = TM_TYPE_OTHER
};

struct types {
    struct hash names;  /* numbers there are one less than here */
    struct arena arena; /* names */
    uint32_t n_brought; /* of the numbers, those that the data brought */
    size_t brought_bytes;
    uint32_t last; /* given out last: one comparison finds it again */
};

void types_init(struct types *t);
void types_close(struct types *t);
/* A type that the pipeline names. */
void types_know(struct types *t, const char *name, size_t len);
uint32_t types_number(struct types *t, const char *name, size_t len);
/* NULL with *len 0 for 0, TYPES_OTHER and numbers not given out. */
const char *types_name(const struct types *t, uint32_t type, size_t *len);

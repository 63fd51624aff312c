/* See types.h. */
#include "decode/envelope/types.h"

#include <stdbool.h>
#include <string.h>

void types_init(struct types *t)
{
    hash_init(&t->names);
    arena_init(&t->arena, 0);
    t->last = t->n_brought = 0;
    t->brought_bytes = 0;
}

void types_close(struct types *t)
{
    hash_close(&t->names);
    arena_close(&t->arena);
}

static bool is_last(const struct types *t, const char *name, size_t len)
{
    const struct hash_key *k = &t->names.keys[t->last - 1];

    return k->len == len && memcmp(k->p, name, len) == 0;
}

static uint32_t add(struct types *t, const char *name, uint32_t len)
{
    int is_new;
    uint32_t number = hash_put(&t->names, name, len, &is_new);

    if (is_new) {
        t->names.keys[number].p = arena_dup(&t->arena, name, len);
    }
    return number + 1;
}

void types_know(struct types *t, const char *name, size_t len)
{
    add(t, name, (uint32_t)len);
}

/* 0: it has none, and there is no room for it. */
static uint32_t find_or_add(struct types *t, const char *name, uint32_t len)
{
    int64_t known = hash_get(&t->names, name, len);

    if (known >= 0) {
        return (uint32_t)known + 1;
    }
    if (t->n_brought == TYPES_MOST || t->brought_bytes + len > TYPES_BYTES) {
        return 0;
    }
    t->n_brought++;
    t->brought_bytes += len;
    return add(t, name, len);
}

uint32_t types_number(struct types *t, const char *name, size_t len)
{
    if (t->last == 0 || !is_last(t, name, len)) {
        t->last = find_or_add(t, name, (uint32_t)len);
    }
    return t->last ? t->last : TYPES_OTHER;
}

const char *types_name(const struct types *t, uint32_t type, size_t *len)
{
    if (type == 0 || type > t->names.n_keys) {
        *len = 0;
        return NULL;
    }
    *len = t->names.keys[type - 1].len;
    return t->names.keys[type - 1].p;
}

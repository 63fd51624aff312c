/* See anchor.h. */
#include "model/anchor.h"

#include "base/hash.h"

/* A hash of its own for what is not there. */
static uint64_t hash_part(const char *p, uint32_t len)
{
    return p ? hash_bytes(p, len) : 0x9e3779b97f4a7c15u;
}

struct anchor anchor_of(const struct record *r)
{
    uint64_t key = hash_part(r->key, r->key_len);
    uint64_t value = hash_part(r->value, r->value_len);

    /* Turned, so that key and value may not change places. */
    return (struct anchor){r->time_ms,
                           (int64_t)(((key << 29) | (key >> 35)) ^ value)};
}

#pragma once
/*
 * Gives byte strings dense numbers 0, 1, 2, ... in the order in which they
 * first come: so the rows of a batch get their index. Open addressing; the keys
 * are borrowed and must outlive the table's use. hash_reset() keeps the memory.
 */
#include <stdint.h>
#include <string.h>

struct hash_slot {
    uint32_t hash;
    uint32_t number; /* plus one; 0 = empty */
};

struct hash_key {
    const char *p; /* borrowed */
    uint32_t len;
    uint32_t slot; /* where it stands: hash_reset of a few keys */
};

struct hash {
    struct hash_slot *slots; /* owned; a power of two of them */
    struct hash_key *keys;   /* owned; [number] */
    uint32_t n_slots;
    uint32_t n_keys;
    uint32_t cap_keys;
};

void hash_init(struct hash *h);
void hash_close(struct hash *h);
void hash_reset(struct hash *h);
/* The number of the key; *is_new says whether it was just made. When it was,
 * keys[number].p may be pointed at a lasting copy by the caller. */
uint32_t hash_put(struct hash *h, const char *p, uint32_t len, int *is_new);
/* The number of the key, or -1. */
int64_t hash_get(const struct hash *h, const char *p, uint32_t len);
uint64_t hash_bytes(const char *p, uint32_t len);
static inline uint64_t hash_text(const char *s)
{
    return hash_bytes(s, (uint32_t)strlen(s));
}

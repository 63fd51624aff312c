/* See hash.h. Linear probing at no more than 60% load; a slot keeps 32 bits
 * of the hash, so that keys are compared only when they are all but equal. */
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { SLOTS_MIN = 64 };

/* Odd constants with about as many ones as zeros; any such will do. */
#define MIX_A 0xa0761d6478bd642fULL
#define MIX_B 0xe7037ed1a0b428dbULL
#define MIX_C 0x8ebc6af09c88c6e3ULL

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t read64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t read32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* One to three bytes: the first, the middle and the last one. */
static inline uint64_t read_few(const char *p, uint32_t len)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint64_t)u[0] << 16 | (uint64_t)u[len >> 1] << 8 | u[len - 1];
}

/* Multiply and fold, 16 bytes a step; the last step reads the last 16 bytes,
 * so it may overlap the one before it. */
uint64_t hash_bytes(const char *p, uint32_t len)
{
    uint64_t seed = MIX_C;
    uint64_t a = 0;
    uint64_t b = 0;

    if (len > 16) {
        uint32_t left = len;

        for (; left > 16; left -= 16, p += 16) {
            seed = fold(read64(p) ^ MIX_A, read64(p + 8) ^ seed);
        }
        a = read64(p + left - 16);
        b = read64(p + left - 8);
    } else if (len >= 8) {
        a = read64(p);
        b = read64(p + len - 8);
    } else if (len >= 4) {
        a = read32(p);
        b = read32(p + len - 4);
    } else if (len > 0) {
        a = read_few(p, len);
    }
    return fold(MIX_B ^ len, fold(a ^ MIX_A, b ^ seed));
}

void hash_init(struct hash *h)
{
    *h = (struct hash){.n_slots = SLOTS_MIN};
    h->slots = mem_zero(SLOTS_MIN, sizeof(*h->slots));
}

void hash_close(struct hash *h)
{
    free(h->slots);
    free(h->keys);
    *h = (struct hash){0};
}

/* A table that was large once must not cost its size in every small batch. */
void hash_reset(struct hash *h)
{
    if (h->n_keys < h->n_slots / 8) {
        for (uint32_t i = 0; i < h->n_keys; i++) {
            h->slots[h->keys[i].slot].number = 0;
        }
    } else {
        memset(h->slots, 0, h->n_slots * sizeof(*h->slots));
    }
    h->n_keys = 0;
}

/* Doubles the slots. */
static void grow(struct hash *h)
{
    uint32_t n_slots = h->n_slots * 2;
    struct hash_slot *slots = mem_zero(n_slots, sizeof(*slots));

    for (uint32_t i = 0; i < h->n_slots; i++) {
        struct hash_slot slot = h->slots[i];
        uint32_t at = slot.hash & (n_slots - 1);

        if (slot.number == 0) {
            continue;
        }
        while (slots[at].number != 0) {
            at = (at + 1) & (n_slots - 1);
        }
        slots[at] = slot;
        h->keys[slot.number - 1].slot = at;
    }
    free(h->slots);
    h->slots = slots;
    h->n_slots = n_slots;
}

/* The slot that holds the key, or the empty one where it belongs. */
static inline uint32_t find(const struct hash *h, uint32_t hash, const char *p,
                            uint32_t len)
{
    uint32_t at = hash & (h->n_slots - 1);

    for (;; at = (at + 1) & (h->n_slots - 1)) {
        const struct hash_slot *slot = &h->slots[at];
        const struct hash_key *key;

        if (slot->number == 0) {
            return at;
        }
        key = &h->keys[slot->number - 1];
        if (slot->hash == hash && key->len == len &&
            (len == 0 || memcmp(key->p, p, len) == 0)) {
            return at;
        }
    }
}

static uint32_t add(struct hash *h, const char *p, uint32_t len, uint32_t slot)
{
    if (h->n_keys == h->cap_keys) {
        h->cap_keys = h->cap_keys ? h->cap_keys * 2 : SLOTS_MIN;
        h->keys = mem_grow(h->keys, h->cap_keys * sizeof(*h->keys));
    }
    h->keys[h->n_keys] = (struct hash_key){.p = p, .len = len, .slot = slot};
    return h->n_keys++;
}

uint32_t hash_put(struct hash *h, const char *p, uint32_t len, int *is_new)
{
    uint32_t hash = (uint32_t)hash_bytes(p, len);
    uint32_t at = find(h, hash, p, len);
    uint32_t number;

    *is_new = h->slots[at].number == 0;
    if (!*is_new) {
        return h->slots[at].number - 1;
    }
    number = add(h, p, len, at);
    h->slots[at] = (struct hash_slot){.hash = hash, .number = number + 1};
    if ((uint64_t)h->n_keys * 5 > (uint64_t)h->n_slots * 3) {
        grow(h);
    }
    return number;
}

int64_t hash_get(const struct hash *h, const char *p, uint32_t len)
{
    uint32_t at = find(h, (uint32_t)hash_bytes(p, len), p, len);

    return (int64_t)h->slots[at].number - 1;
}

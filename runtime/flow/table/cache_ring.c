/* See cache_ring.h. Linear probing at no more than 3/4 load; what is taken out
 * of the index leaves no hole, since those behind it move up. */
#include "flow/table/cache_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"

/* An eighth of the memory or less is index: a slot for every 64 to 128 bytes,
 * about what a row of a few columns takes. */
enum { INDEX_SHARE = 8, LARGEST_SHARE = 8 };

static const usec SECOND = 1000000;

void cache_ring_open(struct cache_ring *c, uint64_t bytes, usec ttl)
{
    uint64_t n = 64;

    must(bytes >= CACHE_LEAST_BYTES);
    while (2 * n * sizeof(struct cache_slot) <= bytes / INDEX_SHARE) {
        n *= 2;
    }
    *c = (struct cache_ring){.n_slots = (uint32_t)n, .ttl = ttl};
    c->slots = mem_zero(n, sizeof(*c->slots));
    c->ring_bytes = (bytes - n * sizeof(*c->slots)) & ~7ULL;
    c->ring = mem_alloc(c->ring_bytes);
}

void cache_ring_close(struct cache_ring *c)
{
    free(c->ring);
    free(c->slots);
    *c = (struct cache_ring){.ring = NULL};
}

void cache_ring_clear(struct cache_ring *c)
{
    if (c->n_entries > 0) {
        memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
    }
    c->head = c->tail = 0;
    c->n_entries = 0;
    c->live_bytes = 0;
    c->era++;
}

void cache_ring_under(struct cache_ring *c, uint64_t tables)
{
    if (c->tables != tables) {
        c->tables = tables;
        cache_ring_clear(c);
    }
}

uint32_t cache_ring_hash(const struct cache_key *k)
{
    return (uint32_t)(hash_bytes(k->p, k->len) >> 16) ^
           k->projection * 0x9e3779b1u;
}

void cache_ring_expect_slot(const struct cache_ring *c, uint32_t hash)
{
    __builtin_prefetch(&c->slots[hash & (c->n_slots - 1)]);
}

static struct cache_entry *entry_at(const struct cache_ring *c, uint64_t at)
{
    return (struct cache_entry *)(void *)(c->ring + at % c->ring_bytes);
}

static struct cache_entry *entry_of(const struct cache_ring *c,
                                    const struct cache_slot *s)
{
    return entry_at(c, (s->at - 1) * 8ULL);
}

void cache_ring_expect_entry(const struct cache_ring *c, uint32_t hash)
{
    const struct cache_slot *s = &c->slots[hash & (c->n_slots - 1)];

    if (s->at != 0) {
        __builtin_prefetch(entry_of(c, s));
        __builtin_prefetch((const char *)entry_of(c, s) + 64);
    }
}

static char *key_of(const struct cache_entry *e)
{
    return (char *)(uintptr_t)(e + 1);
}

const char *cache_ring_value(const struct cache_entry *e)
{
    return key_of(e) + e->key_len;
}

static bool is_of(const struct cache_entry *e, const struct cache_key *k)
{
    return e->projection == k->projection && e->key_len == k->len &&
           memcmp(key_of(e), k->p, k->len) == 0;
}

/* The slot that leads to the key's entry, or the empty one where it belongs. */
static uint32_t slot_of(const struct cache_ring *c, const struct cache_key *k)
{
    uint32_t at = k->hash & (c->n_slots - 1);

    while (c->slots[at].at != 0 && (c->slots[at].hash != k->hash ||
                                    !is_of(entry_of(c, &c->slots[at]), k))) {
        at = (at + 1) & (c->n_slots - 1);
    }
    return at;
}

/* Closes the hole: whoever stands behind it and belongs at or before it moves
 * up, or a search would end at the hole. */
static void take_out(struct cache_ring *c, uint32_t hole)
{
    uint32_t mask = c->n_slots - 1;

    for (uint32_t at = (hole + 1) & mask; c->slots[at].at != 0;
         at = (at + 1) & mask) {
        uint32_t home = c->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            c->slots[hole] = c->slots[at];
            hole = at;
        }
    }
    c->slots[hole].at = 0;
}

static void drop_slot(struct cache_ring *c, uint32_t slot)
{
    struct cache_entry *e = entry_of(c, &c->slots[slot]);

    e->is_dead = 1;
    c->n_entries--;
    c->live_bytes -= e->size;
    take_out(c, slot);
}

/* The slot of an entry that is alive. */
static uint32_t find_slot(const struct cache_ring *c,
                          const struct cache_entry *e)
{
    uint32_t at = e->hash & (c->n_slots - 1);

    while (entry_of(c, &c->slots[at]) != e) {
        at = (at + 1) & (c->n_slots - 1);
    }
    return at;
}

static void evict_oldest(struct cache_ring *c)
{
    struct cache_entry *e = entry_at(c, c->tail);

    c->tail += e->size;
    if (!e->is_dead) {
        drop_slot(c, find_slot(c, e));
        c->n_evicted++;
    }
}

static void make_room(struct cache_ring *c, uint64_t bytes)
{
    while (c->ring_bytes - (c->head - c->tail) < bytes) {
        evict_oldest(c);
    }
}

/* Room for an entry at the head, in one piece. */
static struct cache_entry *append(struct cache_ring *c, uint32_t size)
{
    uint64_t left = c->ring_bytes - c->head % c->ring_bytes;
    struct cache_entry *e;

    while (c->n_entries >= c->n_slots / 4 * 3) {
        evict_oldest(c);
    }
    if (left < size) {
        make_room(c, left);
        e = entry_at(c, c->head);
        e->size = (uint32_t)left;
        e->is_dead = 1;
        c->head += left;
    }
    make_room(c, size);
    e = entry_at(c, c->head);
    c->head += size;
    return e;
}

/* In the half of the ring that was written last? */
static bool is_young(const struct cache_ring *c, const struct cache_entry *e)
{
    uint64_t at = (uint64_t)((const char *)e - c->ring);
    uint64_t head = c->head % c->ring_bytes;
    uint64_t age = head > at ? head - at : head + c->ring_bytes - at;

    return age <= c->ring_bytes / 2;
}

const struct cache_entry *cache_ring_find(struct cache_ring *c,
                                          const struct cache_key *k,
                                          uint32_t claim, usec now)
{
    uint32_t slot = slot_of(c, k);
    const struct cache_entry *e;

    if (c->slots[slot].at == 0) {
        return NULL;
    }
    e = entry_of(c, &c->slots[slot]);
    if (e->claim == claim && now / SECOND < e->expires) {
        return e;
    }
    drop_slot(c, slot);
    return NULL;
}

/* The place for an entry of [size]: its old one, or a new one. */
static struct cache_entry *place(struct cache_ring *c,
                                 const struct cache_key *k, uint32_t size)
{
    uint32_t slot = slot_of(c, k);
    struct cache_entry *e;

    if (c->slots[slot].at != 0) {
        e = entry_of(c, &c->slots[slot]);
        if (e->size >= size && is_young(c, e)) {
            return e;
        }
        drop_slot(c, slot);
    }
    if (size > c->ring_bytes / LARGEST_SHARE) {
        return NULL;
    }
    e = append(c, size);
    slot = slot_of(c, k); /* others may have moved */
    c->slots[slot] = (struct cache_slot){
        .hash = k->hash, .at = (uint32_t)(((char *)e - c->ring) / 8) + 1};
    c->n_entries++;
    c->live_bytes += size;
    e->size = size;
    return e;
}

void cache_ring_put(struct cache_ring *c, const struct cache_key *k,
                    uint32_t claim, uint32_t xmin, const char *value,
                    uint32_t len, usec now)
{
    uint64_t size =
        (sizeof(struct cache_entry) + k->len + (uint64_t)len + 7) & ~7ULL;
    struct cache_entry *e =
        size < UINT32_MAX ? place(c, k, (uint32_t)size) : NULL;

    if (!e) {
        return;
    }
    *e = (struct cache_entry){.size = e->size,
                              .projection = (uint16_t)k->projection,
                              .hash = k->hash,
                              .claim = claim,
                              .expires = (uint32_t)((now + c->ttl) / SECOND),
                              .xmin = xmin,
                              .key_len = k->len,
                              .value_len = len};
    memcpy(key_of(e), k->p, k->len);
    memcpy(key_of(e) + k->len, value, len);
}

void cache_ring_drop(struct cache_ring *c, const struct cache_key *k)
{
    uint32_t slot = slot_of(c, k);

    if (c->slots[slot].at != 0) {
        drop_slot(c, slot);
    }
}

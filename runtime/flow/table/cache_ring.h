#pragma once
/*
 * The row cache of a worker: rows of aligned folds as they stood behind known
 * commits, so that the next batch that meets them need not ask for them.
 *
 * A ring of bytes. A row is packed behind the newest one and the oldest give
 * way, so memory is bounded exactly and nothing is allocated for a row. One
 * that is used again is packed anew, or in its place while that is in the
 * newer half of the ring: so busy rows do not push out others, and what was
 * used is there until half of the ring was written since, or more rows than
 * the index holds. An open-addressing index leads from (projection, key) to
 * the entry.
 *
 * Invariant: a hit is a claim about one row version, (key, xmin) and its
 * values, and never believed by itself. The transaction of every batch that
 * used one checks it in the server: rows that it writes by the xmin in their
 * UPDATE or DELETE, all others by sql_verify, and the tables' shape as every
 * batch (postgres/store/shape.h). A failure is TM002, and the batch is done
 * again without the cache, as is whatever a batch with hits would have decided
 * without a transaction. So a hit either was what a load would have given, or
 * it changes nothing. What may change a row and why that shows:
 * runtime/README.md, "What may change a cached row".
 *
 * Pure: time and claims are arguments. Not for threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

enum { CACHE_LEAST_BYTES = 65536 };

struct cache_key {
    uint32_t projection;
    const char *p; /* borrowed: canonical bytes, see rows.h */
    uint32_t len;
    uint32_t hash; /* cache_ring_hash() of the rest */
};

/* Header of an entry; its key and its value follow. */
struct cache_entry {
    uint32_t size; /* bytes to the next entry, a multiple of 8 */
    uint16_t projection;
    uint16_t is_dead; /* the index does not lead here; also what fills up the
                         end of the ring, of which only these 8 bytes hold */
    uint32_t hash;
    uint32_t claim;
    uint32_t expires; /* seconds of the loop's clock */
    uint32_t xmin;
    uint32_t key_len;
    uint32_t value_len;
};

struct cache_slot {
    uint32_t hash;
    uint32_t at; /* entry's offset in the ring / 8, plus one; 0: empty */
};

struct cache_ring {
    char *ring; /* owned; NULL: there is no cache */
    uint64_t ring_bytes;
    uint64_t head; /* where the next entry goes; head and tail only grow */
    uint64_t tail; /* the oldest entry */
    struct cache_slot *slots; /* owned; a power of two of them */
    uint32_t n_slots;
    uint32_t n_entries;  /* alive */
    uint64_t live_bytes; /* of those */
    uint64_t n_evicted;  /* that gave way to newer ones, ever */
    usec ttl;
    uint32_t era;     /* -- of the worker: grows whenever all is forgotten */
    uint64_t tables;  /* hash of the check of the tables that its rows are of */
    uint32_t server;  /* connections opened when it began */
    usec rests_until; /* nothing can be kept: whether it can is asked again */
};

/* All memory that it will ever use: [bytes], at least CACHE_LEAST_BYTES. */
void cache_ring_open(struct cache_ring *c, uint64_t bytes, usec ttl);
void cache_ring_close(struct cache_ring *c);
uint32_t cache_ring_hash(const struct cache_key *k);
/* A key of this hash is about to be looked for: fetches its slot into the
 * processor's cache; then what that leads to. Rows are many and far apart. */
void cache_ring_expect_slot(const struct cache_ring *c, uint32_t hash);
void cache_ring_expect_entry(const struct cache_ring *c, uint32_t hash);
/* The entry of the key, if it was put under the same claim of its lane and is
 * not too old; else NULL, and it is dropped. Good until the next put. */
const struct cache_entry *cache_ring_find(struct cache_ring *c,
                                          const struct cache_key *k,
                                          uint32_t claim, usec now);
const char *cache_ring_value(const struct cache_entry *e);
/* Puts the value of a row version in place of what is known of the key. One
 * larger than an eighth of the ring is only dropped. */
void cache_ring_put(struct cache_ring *c, const struct cache_key *k,
                    uint32_t claim, uint32_t xmin, const char *value,
                    uint32_t len, usec now);
void cache_ring_drop(struct cache_ring *c, const struct cache_key *k);
/* Forgets everything: a new era. */
void cache_ring_clear(struct cache_ring *c);
/* The same, unless its rows are of tables with this check. */
void cache_ring_under(struct cache_ring *c, uint64_t tables);

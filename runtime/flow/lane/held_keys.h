#pragma once
/*
 * The keys of a lane that wait behind dead letters. They are loaded from
 * tidemill.dead_letter when the lane is claimed and change only with known
 * commits, so they say what the table says.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"

/* What the held keys of all lanes of a worker take. A lane that is to hold one
 * more halts once it is full, so that it grows beyond [most] by no more than the
 * keys of the batches that are under way. */
struct held_pool {
    uint64_t bytes;
    uint64_t most;
};

/* Records set aside for one key. */
struct held {
    uint32_t n;
    int64_t first; /* offset of the first one: the others wait behind it */
};

struct held_keys {
    struct hash keys;
    struct held *held; /* owned; by number of the key */
    uint32_t cap_held;
    struct arena bytes;     /* of keys */
    struct held_pool *pool; /* borrowed */
    uint64_t counted;       /* what they take there */
    bool are_known; /* the table was asked since the lane was claimed, or
                               since it changed in a way that we do not know */
};

void held_keys_init(struct held_keys *k, struct held_pool *pool);
void held_keys_close(struct held_keys *k);
/* None is held, as far as is known; gives their memory back. */
void held_keys_forget(struct held_keys *k);
/* [n] more records of the key are set aside; [first]: the offset of the first
 * one, if the key was not held. */
void held_keys_add(struct held_keys *k, const char *key, uint32_t len,
                   uint32_t n, int64_t first);
/* The key's entry, or NULL: it is not held. */
const struct held *held_keys_find(const struct held_keys *k, const char *key,
                                  uint32_t len);
/* May one more key be held? */
bool held_keys_has_room(const struct held_keys *k);
/* Why the lane halts where not, for people; [reason]: of its record. */
const char *held_keys_full(const struct held_keys *k, struct arena *a,
                           const char *reason);

/* See held_keys.h. */
#include "flow/lane/held_keys.h"

#include <stdlib.h>
#include <string.h>

/* Keys of a lane that is well take no memory. */
enum { KEEP_BYTES = 0 };

void held_keys_init(struct held_keys *k, struct held_pool *pool)
{
    memset(k, 0, sizeof(*k));
    hash_init(&k->keys);
    arena_init(&k->bytes, KEEP_BYTES);
    k->pool = pool;
}

static void drop(struct held_keys *k)
{
    hash_close(&k->keys);
    arena_close(&k->bytes);
    free(k->held);
    k->held = NULL;
    k->cap_held = 0;
}

/* Capacities, since they are what is allocated. */
static void count(struct held_keys *k)
{
    uint64_t now = k->bytes.total_bytes +
                   k->keys.n_slots * sizeof(*k->keys.slots) +
                   k->keys.cap_keys * sizeof(*k->keys.keys) +
                   k->cap_held * sizeof(*k->held);

    k->pool->bytes += now - k->counted;
    k->counted = now;
}

void held_keys_forget(struct held_keys *k)
{
    drop(k);
    hash_init(&k->keys);
    count(k);
}

void held_keys_close(struct held_keys *k)
{
    held_keys_forget(k);
    drop(k);
}

void held_keys_add(struct held_keys *k, const char *key, uint32_t len,
                   uint32_t n, int64_t first)
{
    int is_new;
    uint32_t number = hash_put(&k->keys, key, len, &is_new);

    if (number >= k->cap_held) {
        k->cap_held = k->cap_held ? 2 * k->cap_held : 16;
        k->held = mem_grow(k->held, k->cap_held * sizeof(*k->held));
    }
    if (is_new) {
        k->keys.keys[number].p = arena_dup(&k->bytes, key, len);
        k->held[number] = (struct held){.first = first};
    }
    k->held[number].n += n;
    if (is_new) {
        count(k);
    }
}

bool held_keys_has_room(const struct held_keys *k)
{
    return k->pool->bytes < k->pool->most;
}

const struct held *held_keys_find(const struct held_keys *k, const char *key,
                                  uint32_t len)
{
    int64_t number = k->keys.n_keys ? hash_get(&k->keys, key, len) : -1;

    return number < 0 ? NULL : &k->held[number];
}

const char *held_keys_full(const struct held_keys *k, struct arena *a,
                           const char *reason)
{
    return arena_printf(
        a,
        "too many keys wait behind dead letters: those of this worker's lanes "
        "take %llu MiB, and this record would hold one more; `tidemill dlq "
        "retry` or `tidemill dlq discard` some, then resume the lane (tidemill "
        "lane resume). It failed with: %.200s",
        (unsigned long long)(k->pool->bytes >> 20), reason);
}

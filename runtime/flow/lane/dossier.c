/* See dossier.h. */
#include "flow/lane/dossier.h"

#include <stdlib.h>
#include <string.h>

/* Keys of a lane that is well take no memory. */
enum { KEEP_BYTES = 0 };

static struct dossier *make(const char *topic, int32_t partition,
                            uint32_t max_failed)
{
    struct dossier *d = mem_zero(1, sizeof(*d));

    d->topic = mem_dup(topic);
    d->partition = partition;
    hash_init(&d->keys);
    arena_init(&d->bytes, KEEP_BYTES);
    guard_init(&d->guard, max_failed);
    return d;
}

struct dossier *dossier_of(struct dossier **list, const char *topic,
                           int32_t partition, uint32_t max_failed)
{
    for (struct dossier *d = *list; d; d = d->next) {
        if (d->partition == partition && strcmp(d->topic, topic) == 0) {
            return d;
        }
    }
    struct dossier *d = make(topic, partition, max_failed);

    d->next = *list;
    *list = d;
    return d;
}

static void drop_keys(struct dossier *d)
{
    hash_close(&d->keys);
    arena_close(&d->bytes);
    free(d->held);
    d->held = NULL;
    d->cap_held = 0;
}

void dossiers_free(struct dossier *list)
{
    while (list) {
        struct dossier *next = list->next;

        drop_keys(list);
        guard_close(&list->guard);
        free(list->topic);
        free(list);
        list = next;
    }
}

/* Capacities, since they are what is allocated. */
static void count(struct dossier *d)
{
    uint64_t now = d->bytes.total_bytes +
                   d->keys.n_slots * sizeof(*d->keys.slots) +
                   d->keys.cap_keys * sizeof(*d->keys.keys) +
                   d->cap_held * sizeof(*d->held);

    if (d->pool) {
        d->pool->bytes += now - d->counted;
        d->counted = now;
    }
}

void dossier_forget(struct dossier *d)
{
    drop_keys(d);
    hash_init(&d->keys);
    count(d);
}

void dossier_waits_no_more(struct dossier *d)
{
    d->waits_since = 0;
    d->is_shown = d->is_told = d->is_slow = d->is_unknown = false;
    d->n_lost = d->n_tried = d->n_missed = 0;
    d->n_unproven = d->n_cancelled = 0;
}

void dossier_renew(struct dossier *d)
{
    dossier_forget(d);
    dossier_waits_no_more(d);
    d->n_letters = 0;
    d->has_refused = false;
    if (d->was_halted) {
        d->was_halted = false;
        d->guard.n = d->guard.first = 0;
    }
}

void dossier_hold(struct dossier *d, const char *key, uint32_t len, uint32_t n,
                  int64_t first)
{
    int is_new;
    uint32_t number = hash_put(&d->keys, key, len, &is_new);

    if (number >= d->cap_held) {
        d->cap_held = d->cap_held ? 2 * d->cap_held : 16;
        d->held = mem_grow(d->held, d->cap_held * sizeof(*d->held));
    }
    if (is_new) {
        d->keys.keys[number].p = arena_dup(&d->bytes, key, len);
        d->held[number] = (struct held){.first = first};
    }
    d->held[number].n += n;
    if (is_new) {
        count(d);
    }
}

bool dossier_has_room(const struct dossier *d)
{
    return !d->pool || d->pool->bytes < d->pool->most;
}

const struct held *dossier_find(const struct dossier *d, const char *key,
                                uint32_t len)
{
    int64_t number = d->keys.n_keys ? hash_get(&d->keys, key, len) : -1;

    return number < 0 ? NULL : &d->held[number];
}

const char *dossier_full(const struct dossier *d, struct arena *a,
                         const char *reason)
{
    return arena_printf(
        a,
        "too many keys wait behind dead letters: those of this worker's lanes "
        "take %llu MiB, and this record would hold one more; `tidemill dlq "
        "retry` or `tidemill dlq discard` some, then resume the lane (tidemill "
        "lane resume). It failed with: %.200s",
        (unsigned long long)(d->pool->bytes >> 20), reason);
}

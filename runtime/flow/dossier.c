/* See dossier.h. */
#include "flow/dossier.h"

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

void dossiers_free(struct dossier *list)
{
    while (list) {
        struct dossier *next = list->next;

        hash_close(&list->keys);
        arena_close(&list->bytes);
        guard_close(&list->guard);
        free(list->held);
        free(list->topic);
        free(list);
        list = next;
    }
}

void dossier_renew(struct dossier *d)
{
    hash_reset(&d->keys);
    arena_reset(&d->bytes);
    d->n_letters = 0;
    d->has_refused = false;
    d->waits_since = 0;
    d->is_shown = d->is_told = false;
    d->n_lost = d->n_tried = d->n_missed = 0;
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
}

const struct held *dossier_find(const struct dossier *d, const char *key,
                                uint32_t len)
{
    int64_t number = d->keys.n_keys ? hash_get(&d->keys, key, len) : -1;

    return number < 0 ? NULL : &d->held[number];
}

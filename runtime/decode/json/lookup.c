/* See lookup.h. */
#include "decode/json/lookup.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* What a usual event needs is kept; an event with very much is not. */
enum { KEPT_BYTES = 256 * 1024, KEPT_MEMBERS = 4096 };

void lookup_init(struct lookup *l)
{
    memset(l, 0, sizeof(*l));
    hash_init(&l->fields);
    hash_init(&l->times);
    hash_init(&l->known);
    arena_init(&l->names, KEPT_BYTES);
    arena_init(&l->arena, KEPT_BYTES);
    path_init(&l->tree);
    for (int root = 0; root < TM_ROOTS; root++) {
        /* A root is looked into when it has a child; its name matters not. */
        path_field(&l->tree, root, "", 0);
        l->columns[root] = &l->roots[root];
    }
}

void lookup_close(struct lookup *l)
{
    hash_close(&l->fields);
    hash_close(&l->times);
    hash_close(&l->known);
    arena_close(&l->names);
    arena_close(&l->arena);
    members_close(&l->members);
    path_close(&l->tree);
    free(l->cells);
    free(l->opened);
}

static void forget_event(struct lookup *l)
{
    if (l->cap_cells > KEPT_MEMBERS) {
        hash_close(&l->known);
        hash_init(&l->known);
        members_close(&l->members);
        free(l->cells);
        l->cells = NULL;
        l->cap_cells = 0;
    }
    hash_reset(&l->known);
    arena_reset(&l->arena);
    l->n_opened = 0;
    l->last = (struct tm_cell){.tag = TM_MISSING};
}

void lookup_turn(struct lookup *l, const struct tm_batch *b, uint32_t event)
{
    if (l->batch != b || l->generation != b->generation) {
        l->batch = b;
        l->generation = b->generation;
        hash_reset(&l->fields);
        hash_reset(&l->times);
        arena_reset(&l->names);
        forget_event(l);
    } else if (l->event != event) {
        forget_event(l);
    }
    l->event = event;
}

void lookup_aim(struct lookup *l, int root)
{
    for (int i = 0; i < TM_ROOTS; i++) {
        l->tree.nodes[i].takes_all = i == root;
        l->tree.nodes[i].n_children = i == root;
    }
    memset(l->roots, 0, sizeof(l->roots));
    members_clear(&l->members);
}

bool lookup_is_open(const struct lookup *l, int parent)
{
    for (uint32_t i = 0; i < l->n_opened; i++) {
        if (l->opened[i] == parent) {
            return true;
        }
    }
    return false;
}

/* Parent and name in one. */
static void put_key(char *key, int parent, const char *name, size_t len)
{
    memcpy(key, &parent, sizeof(parent));
    memcpy(key + sizeof(parent), name, len);
}

static void add_member(struct lookup *l, int parent, const struct member *m)
{
    uint32_t len = (uint32_t)sizeof(parent) + m->len;
    char *key = arena_alloc(&l->arena, len);
    int is_new;

    put_key(key, parent, m->name, m->len);
    uint32_t number = hash_put(&l->known, key, len, &is_new);

    if (number >= l->cap_cells) {
        l->cap_cells = l->cap_cells ? 2 * l->cap_cells : 64;
        l->cells = mem_grow(l->cells, l->cap_cells * sizeof(*l->cells));
    }
    l->cells[number] = m->cell;
}

void lookup_open(struct lookup *l, int parent)
{
    for (uint32_t i = 0; i < l->members.n; i++) {
        add_member(l, parent, &l->members.list[i]);
    }
    if (l->n_opened == l->cap_opened) {
        l->cap_opened = l->cap_opened ? 2 * l->cap_opened : 16;
        l->opened = mem_grow(l->opened, l->cap_opened * sizeof(*l->opened));
    }
    l->opened[l->n_opened++] = parent;
}

static int number_of(struct lookup *l, const char *key, uint32_t len)
{
    int is_new;
    uint32_t number = hash_put(&l->fields, key, len, &is_new);

    if (is_new) {
        l->fields.keys[number].p = arena_dup(&l->names, key, len);
    }
    return TM_LOOSE + 1 + (int)number;
}

/* A number that a handler passes on is told by its value: see decoder_hint(). */
struct time_key {
    int64_t i;
    uint32_t event;
    uint8_t tag;
    int8_t scale;
    uint8_t hint; /* behind the key */
};
enum { TIME_KEY = offsetof(struct time_key, hint) };

static struct time_key time_key(uint32_t event, const struct tm_cell *c)
{
    struct time_key k;

    memset(&k, 0, sizeof(k));
    k.i = c->i;
    k.event = event;
    k.tag = c->tag;
    k.scale = c->tag == TM_INT ? 0 : c->scale;
    k.hint = c->hint;
    return k;
}

static void keep_time(struct lookup *l)
{
    struct time_key k = time_key(l->event, &l->last);
    int is_new;
    uint32_t at = hash_put(&l->times, (const char *)&k, TIME_KEY, &is_new);

    if (is_new) {
        l->times.keys[at].p = arena_dup(&l->names, (const char *)&k, sizeof(k));
    }
}

uint8_t lookup_hint(const struct lookup *l, const struct tm_batch *b,
                    uint32_t event, const struct tm_cell *c)
{
    struct time_key k = time_key(event, c);
    bool is_now = l->batch == b && l->generation == b->generation;
    int64_t at = is_now && l->times.n_keys > 0
                     ? hash_get(&l->times, (const char *)&k, TIME_KEY)
                     : -1;

    return at < 0 ? (uint8_t)TM_HINT_NONE
                  : (uint8_t)l->times.keys[at].p[TIME_KEY];
}

static const struct tm_cell missing = {.tag = TM_MISSING};

int lookup_find(struct lookup *l, int parent, const char *name, size_t len)
{
    uint32_t key_len = (uint32_t)(sizeof(parent) + len);
    char text[256], *key = text;

    if (key_len > sizeof(text)) {
        key = arena_alloc(&l->arena, key_len);
    }
    put_key(key, parent, name, len);
    int64_t number = hash_get(&l->known, key, key_len);

    l->last = number < 0 ? missing : l->cells[number];
    if (l->last.hint >= TM_HINT_MILLIS) {
        keep_time(l);
    }
    if (l->last.tag == TM_UNREADABLE) {
        l->place = (struct lookup_field){
            parent, arena_dup(&l->arena, name, len), (uint32_t)len};
    }
    return l->last.tag == TM_OBJECT || l->last.tag == TM_ARRAY
               ? number_of(l, key, key_len)
               : TM_LOOSE;
}

bool lookup_field(const struct lookup *l, int number, struct lookup_field *out)
{
    uint32_t at = (uint32_t)(number - TM_LOOSE - 1);

    if (number <= TM_LOOSE || at >= l->fields.n_keys) {
        return false;
    }
    const struct hash_key *k = &l->fields.keys[at];
    memcpy(&out->parent, k->p, sizeof(out->parent));
    out->name = k->p + sizeof(out->parent);
    out->len = k->len - (uint32_t)sizeof(out->parent);
    return true;
}

/* See order.h. A radix sort over the first eight bytes of each key, then the
 * few runs with equal first bytes by comparison. */
#include "flow/rows/order.h"

#include <string.h>

struct item {
    uint64_t prefix;
    uint32_t row;
};

static uint64_t prefix_of(const struct hash_key *k)
{
    uint64_t v = 0;

    memcpy(&v, k->p, k->len < 8 ? k->len : 8);
    return __builtin_bswap64(v);
}

static bool sort_pass(struct item *from, struct item *to, uint32_t n, int shift)
{
    uint32_t count[256] = {0};
    uint32_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        count[(from[i].prefix >> shift) & 255]++;
    }
    if (count[(from[0].prefix >> shift) & 255] == n) {
        return false; /* all the same byte: nothing would move */
    }
    for (int i = 0; i < 256; i++) {
        uint32_t size = count[i];

        count[i] = at;
        at += size;
    }
    for (uint32_t i = 0; i < n; i++) {
        to[count[(from[i].prefix >> shift) & 255]++] = from[i];
    }
    return true;
}

static int compare_keys(const struct hash_key *a, const struct hash_key *b)
{
    uint32_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->p, b->p, len);

    return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Keys that share their first bytes ("account-0001"): a heap sort, since such
 * a run may be the whole batch. */
static void sift(struct item *run, uint32_t at, uint32_t n,
                 const struct hash_key *keys, uint32_t first)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        struct item moved = run[at];

        if (child >= n) {
            return;
        }
        if (child + 1 < n &&
            compare_keys(&keys[run[child].row - first],
                         &keys[run[child + 1].row - first]) < 0) {
            child++;
        }
        if (compare_keys(&keys[moved.row - first],
                         &keys[run[child].row - first]) >= 0) {
            return;
        }
        run[at] = run[child];
        run[child] = moved;
        at = child;
    }
}

static void sort_run(struct item *run, uint32_t n, const struct hash_key *keys,
                     uint32_t first)
{
    for (uint32_t i = n / 2; i-- > 0;) {
        sift(run, i, n, keys, first);
    }
    for (uint32_t end = n; end-- > 1;) {
        struct item top = run[0];

        run[0] = run[end];
        run[end] = top;
        sift(run, 0, end, keys, first);
    }
}

static void sort_runs(struct item *items, uint32_t n, const struct rows *r)
{
    for (uint32_t i = 0; i < n;) {
        uint32_t end = i + 1;

        while (end < n && items[end].prefix == items[i].prefix) {
            end++;
        }
        if (end - i > 1) {
            sort_run(items + i, end - i, r->hash.keys, r->first_row);
        }
        i = end;
    }
}

uint32_t *order_rows(const struct rows *r, struct arena *a)
{
    uint32_t n = r->view.n_rows - r->first_row;
    struct item *items = arena_alloc(a, (n + 1) * sizeof(*items));
    struct item *other = arena_alloc(a, (n + 1) * sizeof(*other));
    uint32_t *out = arena_alloc(a, (n + 1) * sizeof(*out));

    for (uint32_t i = 0; i < n; i++) {
        items[i] = (struct item){prefix_of(&r->hash.keys[i]), i + r->first_row};
    }
    for (int shift = 0; n > 1 && shift < 64; shift += 8) {
        if (sort_pass(items, other, n, shift)) {
            struct item *swap = items;

            items = other;
            other = swap;
        }
    }
    sort_runs(items, n, r);
    for (uint32_t i = 0; i < n; i++) {
        out[i] = items[i].row;
    }
    return out;
}

uint32_t *order_once(struct rows *r)
{
    if (!r->order) {
        r->order = order_rows(r, r->arena);
    }
    return r->order;
}

/* See row_cache.h. A value in the cache is the row's cells behind the key, one
 * after the other: tag and scale, then what the tag needs. */
#include "flow/run/row_cache.h"

#include <string.h>

#include "flow/run/kind.h"
#include "flow/run/run.h"

/* In place of a lease: the row's events came from several lanes. */
enum { LEASE_MIXED = 0xfffffffe, LEASE_NONE = 0xffffffff };

/* How often a pipeline with side effects is asked whether it still has them. */
static const usec REST_USEC = 1000000;

/* Rows between asking memory for something and reading it. */
enum { AHEAD = 8 };

/* ---- cells and bytes ---- */

static bool has_bytes(uint8_t tag)
{
    return (tag >= TM_NUMBER && tag <= TM_ARRAY) || tag == TM_BYTES ||
           tag == TM_JSON || tag == TM_LITERAL;
}

/* Of what is behind p of a cell; 0: it holds its value itself. */
static uint32_t size_behind(const struct tm_cell *c)
{
    return c->tag == TM_UUID     ? 16
           : c->tag == TM_BIGDEC ? (uint32_t)sizeof(struct tm_dec)
           : has_bytes(c->tag)   ? c->len
                                 : 0;
}

static void pack_cell(struct buf *b, const struct tm_cell *c)
{
    uint32_t size = size_behind(c);

    buf_reserve(b, 2 + sizeof(c->i) + size);
    b->data[b->len++] = (char)c->tag;
    b->data[b->len++] = (char)c->scale;
    if (has_bytes(c->tag)) {
        memcpy(b->data + b->len, &c->len, sizeof(c->len));
        b->len += sizeof(c->len);
    } else if (c->tag > TM_NULL && size == 0) {
        memcpy(b->data + b->len, &c->i, sizeof(c->i));
        b->len += sizeof(c->i);
    }
    memcpy(b->data + b->len, size ? c->p : "", size);
    b->len += size;
}

/* False: the table's value of a column is not known. */
static bool pack_row(struct buf *b, const struct rows *r,
                     struct tm_cell *const *cells, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    buf_clear(b);
    buf_reserve(b, 1); /* a row of key columns alone has no bytes */
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (cells[i][row].tag == TM_MISSING) {
            return false;
        }
        pack_cell(b, &cells[i][row]);
    }
    return true;
}

static const char *unpack_cell(const char *p, struct arena *a,
                               struct tm_cell *out)
{
    uint32_t size;

    *out = (struct tm_cell){.tag = (uint8_t)p[0], .scale = (int8_t)p[1]};
    p += 2;
    if (has_bytes(out->tag)) {
        memcpy(&out->len, p, sizeof(out->len));
        p += sizeof(out->len);
    }
    size = size_behind(out);
    if (size > 0) {
        out->p = arena_dup(a, p, size);
    } else if (has_bytes(out->tag)) {
        out->p = "";
    } else if (out->tag > TM_NULL) {
        memcpy(&out->i, p, sizeof(out->i));
        size = sizeof(out->i);
    }
    return p + size;
}

/* ---- rows ---- */

static struct cache_key key_of(const struct rows *r, uint32_t row)
{
    const struct hash_key *k = &r->hash.keys[row - r->first_row];

    return (struct cache_key){.projection = r->program->index,
                              .p = k->p,
                              .len = k->len,
                              .hash = r->cache_hash[row]};
}

static uint32_t claim_of(const struct rows *r, uint32_t row,
                         const uint32_t *claims)
{
    uint32_t lease = r->row_lease[row];

    return lease < LEASE_MIXED ? claims[lease] : 0;
}

/* Which lane does each row belong to? */
static void find_leases(struct rows *r)
{
    size_t size = r->view.n_rows * sizeof(*r->row_lease);

    r->row_lease = arena_alloc(r->arena, size);
    memset(r->row_lease, 0xff, size);
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        uint32_t lease = r->events->records[r->pair_event[i]].lane;
        uint32_t *now = &r->row_lease[r->pair_row[i]];

        *now = *now == LEASE_NONE || *now == lease ? lease : LEASE_MIXED;
    }
}

static void find_hashes(struct rows *r)
{
    r->cache_hash =
        arena_zero(r->arena, r->view.n_rows * sizeof(*r->cache_hash));
    for (uint32_t row = 0; row < r->view.n_rows; row++) {
        struct cache_key k = key_of(r, row);

        r->cache_hash[row] = cache_ring_hash(&k);
    }
}

/* Before [row] is looked for, in a loop over all rows. */
static void look_ahead(const struct cache_ring *c, const struct rows *r,
                       uint32_t row)
{
    if (row + 2 * AHEAD < r->view.n_rows) {
        cache_ring_expect_slot(c, r->cache_hash[row + 2 * AHEAD]);
    }
    if (row + AHEAD < r->view.n_rows) {
        cache_ring_expect_entry(c, r->cache_hash[row + AHEAD]);
    }
}

static void take_row(struct rows *r, uint32_t row, const struct cache_entry *e)
{
    const struct plan_projection *p = r->program->plan;
    const char *at = cache_ring_value(e);

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        at = unpack_cell(at, r->loaded, &r->base[i][row]);
    }
    r->base_flags[row] = TM_ROW_LOADED | TM_ROW_EXISTS;
    r->xmins[row] = e->xmin;
    r->marks[row] = ROWS_FROM_CACHE;
    r->n_from_cache++;
}

/* Nothing is known of what an earlier attempt knew. */
static void forget(struct rows *r)
{
    memset(r->marks, 0, r->view.n_rows);
    r->n_from_cache = 0;
    if (!r->row_lease) {
        find_leases(r);
        find_hashes(r);
    }
}

void row_cache_find(struct cache_ring *c, struct rows *r,
                    const uint32_t *claims, usec now)
{
    forget(r);
    rows_unload(r);
    for (uint32_t row = 0; row < r->view.n_rows; row++) {
        struct cache_key k = key_of(r, row);
        uint32_t claim = claim_of(r, row, claims);
        const struct cache_entry *e =
            claim ? cache_ring_find(c, &k, claim, now) : NULL;

        look_ahead(c, r, row);
        if (e) {
            take_row(r, row, e);
        }
    }
}

void row_cache_drop(struct cache_ring *c, struct rows *r)
{
    forget(r);
    for (uint32_t row = 0; row < r->view.n_rows; row++) {
        struct cache_key k = key_of(r, row);

        cache_ring_drop(c, &k);
    }
}

/* What the table holds of a row, packed; false: nothing, or who knows what. */
static bool pack_kept(struct buf *b, const struct rows *r, uint32_t row)
{
    uint8_t flags = r->view.flags[row];

    if (!(flags & TM_ROW_EXISTS)) {
        return false;
    }
    if (r->marks[row] & ROWS_WRITTEN) {
        return pack_row(b, r, r->view.cells, row);
    }
    return (flags & TM_ROW_LOADED) && pack_row(b, r, r->base, row);
}

void row_cache_keep(struct cache_ring *c, struct rows *r,
                    const uint32_t *claims, uint32_t xid, usec now)
{
    struct buf value = {0};

    for (uint32_t row = 0; row < r->view.n_rows; row++) {
        struct cache_key k = key_of(r, row);
        uint32_t claim = claim_of(r, row, claims);
        uint32_t xmin = r->marks[row] & ROWS_WRITTEN ? xid : r->xmins[row];

        look_ahead(c, r, row);
        if (claim && pack_kept(&value, r, row)) {
            cache_ring_put(c, &k, claim, xmin, value.data, (uint32_t)value.len,
                           now);
        } else {
            cache_ring_drop(c, &k);
        }
    }
    buf_close(&value);
}

/* ---- batches ---- */

static bool is_cacheable(const struct rows *r)
{
    return r->marks && r->view.n_rows > 0;
}

/* A lane that is being searched for a bad record loads its rows: whether one
 * is bad must not be asked twice. */
static uint32_t *claims_to_find(struct batch *b)
{
    uint32_t *claims =
        arena_zero(&b->memory.loaded, b->input.n_leases * sizeof(*claims));

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lane *l = b->input.leases[i].lane;

        claims[i] = l->search.left ? 0 : l->claim;
    }
    return claims;
}

static uint32_t *claims_to_keep(struct batch *b)
{
    uint32_t *claims =
        arena_zero(&b->memory.loaded, b->input.n_leases * sizeof(*claims));

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        bool is_ours = lane_is_ours(l->lane);

        claims[i] =
            is_ours && l->halt < 0 && l->end > l->start ? l->lane->claim : 0;
    }
    return claims;
}

/* Whoever restores a server, or makes another one the primary, ends all
 * connections. */
static void note_server(struct cache_ring *c, uint32_t n_opened)
{
    if (c->server != n_opened) {
        cache_ring_clear(c);
        c->server = n_opened;
    }
}

static void begin_rows(struct batch *b, struct rows *r, const uint32_t *claims)
{
    uint64_t *n = b->run->worker->show.counts->counters;

    if (claims) {
        row_cache_find(&b->run->cache, r, claims, worker_now(b->run->worker));
    } else {
        row_cache_drop(&b->run->cache, r);
    }
    b->cached.n_found += r->n_from_cache;
    n[COUNT_CACHE_HITS] += r->n_from_cache;
    n[COUNT_CACHE_MISSES] += r->view.n_rows - r->n_from_cache;
}

/* Is it to take part in the row cache? Its rows are of the contract of now. */
static bool takes_part(const struct batch *b)
{
    const struct cache_ring *c = &b->run->cache;
    bool has_rows = false;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        has_rows |= is_cacheable(&b->rows[i]);
    }
    return c->ring && has_rows &&
           worker_now(b->run->worker) >= c->rests_until &&
           generation_is_like(b->generation, b->run->worker->now);
}

void row_cache_begin(struct batch *b)
{
    struct cache_ring *c = &b->run->cache;
    bool is_first = !b->tries.has_begun && b->kind->is_cached;
    const uint32_t *claims;

    b->tries.has_begun = true;
    b->cached.is_used = takes_part(b);
    if (!b->cached.is_used) {
        return;
    }
    note_server(c, pgpool_opened(b->run->worker->database.pool));
    b->cached.era = c->era;
    claims = is_first ? claims_to_find(b) : NULL;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (is_cacheable(&b->rows[i])) {
            begin_rows(b, &b->rows[i], claims);
        }
    }
}

bool row_cache_may_keep(const struct batch *b)
{
    return b->cached.is_used && b->kind->is_cached;
}

/* False: what the batch wrote is not to be kept. */
static bool may_keep(struct batch *b, bool has_no_side_effects)
{
    struct cache_ring *c = &b->run->cache;

    if (!has_no_side_effects) {
        cache_ring_clear(c);
        c->rests_until = worker_now(b->run->worker) + REST_USEC;
    }
    return has_no_side_effects && b->cached.era == c->era;
}

void row_cache_committed(struct batch *b, uint32_t xid,
                         bool has_no_side_effects)
{
    struct run *run = b->run;
    uint64_t n_evicted = run->cache.n_evicted;
    const uint32_t *claims;

    if (!may_keep(b, has_no_side_effects)) {
        return;
    }
    claims = claims_to_keep(b);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (is_cacheable(&b->rows[i])) {
            row_cache_keep(&run->cache, &b->rows[i], claims, xid,
                           worker_now(run->worker));
        }
    }
    run->worker->show.counts->counters[COUNT_CACHE_EVICTED] +=
        run->cache.n_evicted - n_evicted;
}

bool row_cache_must_repeat(const struct batch *b, const struct err *e)
{
    return b->cached.n_found > 0 &&
           (!e || (!database_is_away(e) && e->class != ERR_FENCED));
}

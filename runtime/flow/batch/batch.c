/* See batch.h. */
#include "flow/batch/batch.h"

#include <stdlib.h>
#include <string.h>

/* What a batch's arena keeps between batches: a full batch of the default
 * size needs about 6 MB; a rare giant is given back. */
enum {
    BATCH_KEEP_BYTES = 12 << 20,
    LOADED_KEEP_BYTES = 4 << 20,
    SAID_KEEP_BYTES = 64 << 10,
    SCRATCH_KEEP_BYTES = 1 << 20
};

/*
 * What scripts may make of a batch, in bytes of the records that a batch may
 * have: 128 MiB at the default of 8. A text that is assigned takes itself, and
 * once more where its column wants another form; the rest is for rows that
 * grow.
 */
enum { MADE_FACTOR = 16, MADE_LEAST = 64 << 20 };

void batch_init(struct batch *b)
{
    memset(b, 0, sizeof(*b));
    arena_init(&b->memory.arena, BATCH_KEEP_BYTES);
    arena_init(&b->memory.loaded, LOADED_KEEP_BYTES);
    arena_init(&b->memory.said, SAID_KEEP_BYTES);
    arena_init(&b->memory.scratch, SCRATCH_KEEP_BYTES);
    b->memory.arena.limit = b->memory.loaded.limit = &b->memory.limit;
    b->memory.said.limit = b->memory.scratch.limit = &b->memory.limit;
    hash_init(&b->held.keys);
}

static void close_rows(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        rows_close(&b->rows[i]);
    }
    table_sets_free(b->table_sets, b->n_table_sets);
    free(b->rows);
}

/* Rows keep memory between the batches of a slot, but are of one generation's
 * programs. */
static void open_rows(struct batch *b)
{
    uint32_t n = b->generation->n_programs;

    close_rows(b);
    b->rows_of = b->generation->number;
    b->rows = mem_zero(n + 1, sizeof(*b->rows));
    b->n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
        rows_init(&b->rows[i], &b->generation->programs[i]);
        b->rows[i].values.limit = &b->memory.limit;
    }
    b->table_sets = table_sets_new(b->rows, n, &b->n_table_sets);
}

void batch_bind(struct batch *b, struct generation *g)
{
    generation_hold(g);
    b->generation = g;
    if (b->rows_of != g->number) {
        open_rows(b);
    }
}

void batch_unbind(struct batch *b)
{
    if (b->generation) {
        generation_drop(b->generation);
        b->generation = NULL;
    }
}

void batch_close(struct batch *b)
{
    batch_unbind(b);
    close_rows(b);
    hash_close(&b->held.keys);
    free(b->held.first);
    free(b->held.n);
    arena_close(&b->memory.arena);
    arena_close(&b->memory.loaded);
    arena_close(&b->memory.said);
    arena_close(&b->memory.scratch);
}

/* ---- parts; see batch.h for how long each lives ---- */

static void memory_reset(struct batch_memory *m)
{
    arena_reset(&m->arena);
    arena_reset(&m->loaded);
    arena_reset(&m->said);
    arena_reset(&m->scratch);
}

/* No run of this batch has the number of one before. */
static void input_reset(struct batch_input *in)
{
    struct tm_batch view = {.generation = in->view.generation, .current = -1};

    *in = (struct batch_input){.view = view};
}

/* The connection is taken and given back above, in engine/ and run/. */
static void attempt_reset(struct batch_attempt *a)
{
    *a = (struct batch_attempt){.conn = a->conn, .ticket = a->ticket};
}

/* What one attempt has and the next one has not. */
static void reset_attempt(struct batch *b)
{
    attempt_reset(&b->attempt);
    b->cached = (struct batch_cached){.is_used = false};
    b->outcome = (struct batch_outcome){.n_written = 0};
    b->failures.put = NULL; /* loaded, as is the other */
    b->failures.n_put = 0;
    b->tables.failed_with = NULL;
}

void batch_clear(struct batch *b)
{
    memory_reset(&b->memory);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        arena_reset(&b->rows[i].values);
    }
    input_reset(&b->input);
    b->scripts = (struct batch_scripts){.pace = BATCH_QUICK};
    b->failures = (struct batch_failures){.letters = NULL};
    b->tries = (struct batch_tries){.n_failed = 0};
    b->tables = (struct batch_tables){.failed_with = NULL};
    b->resolve = (struct batch_resolve){.positions = NULL};
    b->kind = NULL;
    reset_attempt(b);
}

void batch_again(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        rows_unload(&b->rows[i]);
    }
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        b->input.leases[i].halted_since = 0;
    }
    arena_reset(&b->memory.loaded);
    reset_attempt(b);
}

static uint32_t take_records(struct batch *b, struct lease *l, uint32_t index,
                             uint32_t at)
{
    l->first = at;
    for (uint32_t i = 0; i < l->n; i++) {
        struct record *rec = &b->input.records[at + i];

        source_record(l->lane->kafka, i, rec);
        rec->lane = index;
        b->input.bytes += rec->key_len + rec->value_len;
    }
    return at + l->n;
}

void batch_prepare(struct batch *b, uint32_t n)
{
    struct batch_input *in = &b->input;

    in->events.view = &in->view;
    in->events.records = in->records;
    in->events.arena = &b->memory.arena;
    events_prepare(&in->events, b->generation->decoder, n);
    for (uint32_t i = 0; i < in->n_leases; i++) {
        in->leases[i].halt = in->leases[i].cut = -1;
        in->leases[i].guard = NULL;
    }
}

void batch_begin(struct batch *b, struct generation *g,
                 const struct lease *leases, uint32_t n_leases)
{
    uint32_t n = 0;

    batch_bind(b, g);
    batch_clear(b);
    b->input.leases = arena_alloc(&b->memory.arena, n_leases * sizeof(*leases));
    memcpy(b->input.leases, leases, n_leases * sizeof(*leases));
    b->input.n_leases = n_leases;
    for (uint32_t i = 0; i < n_leases; i++) {
        n += leases[i].n;
    }
    b->input.records =
        arena_alloc(&b->memory.arena, (n + 1) * sizeof(*b->input.records));
    n = 0;
    for (uint32_t i = 0; i < n_leases; i++) {
        n = take_records(b, &b->input.leases[i], i, n);
    }
    b->input.header = source_header;
    batch_prepare(b, n);
}

bool batch_decode(struct batch *b, uint32_t max)
{
    struct decoder *d = b->generation->decoder;
    uint32_t from = b->input.decoded, left = b->input.events.n - from;
    uint32_t to = from + (left < max ? left : max);

    decoder_set_header(d, b->input.header);
    decoder_run(d, &b->input.events, from, to);
    b->input.decoded = to;
    return to == b->input.events.n;
}

/* ---- the limit ---- */

/* A record that is alone may make as much more as it or its row is larger. */
uint64_t batch_most(const struct batch *b)
{
    uint64_t bytes = b->input.bytes > b->memory.most_bytes
                         ? b->input.bytes
                         : b->memory.most_bytes;

    if (b->input.events.n == 1 && b->memory.loaded.taken > bytes) {
        bytes = b->memory.loaded.taken;
    }
    bytes *= MADE_FACTOR;
    return bytes > MADE_LEAST ? bytes : MADE_LEAST;
}

/* What is taken later in the arena are rows that batch functions asked for: run by
 * run they must not add up to more. */
void batch_limit(struct batch *b)
{
    if (b->memory.base == 0 || b->input.events.n == 1) {
        b->memory.base = b->memory.arena.taken;
    }
    b->memory.limit.most =
        b->memory.most_bytes ? b->memory.base + batch_most(b) : 0;
    b->memory.limit.is_over =
        b->memory.limit.most && b->memory.limit.taken > b->memory.limit.most;
}

bool batch_is_over(const struct batch *b)
{
    return b->input.view.is_late ||
           (b->memory.limit.is_over && b->input.events.n > 1);
}

uint32_t batch_applied(const struct batch *b, uint32_t *only)
{
    uint32_t n = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (b->input.events.states[e] == TM_EVENT_OK) {
            *only = e;
            n++;
        }
    }
    return n;
}

int32_t batch_first_good(const struct batch *b)
{
    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (b->input.events.states[e] == TM_EVENT_OK) {
            return (int32_t)e;
        }
    }
    return -1;
}

bool batch_moves(const struct batch *b, const struct lease *l)
{
    return l->end > l->start || b->input.stays;
}

uint32_t lease_moved(const struct lease *l)
{
    int32_t end = l->halt < 0 ? l->cut : l->halt;

    return end < 0 ? l->n : (uint32_t)end - l->first;
}

uint32_t batch_moved(const struct batch *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        n += lease_moved(&b->input.leases[i]);
    }
    return n;
}

void batch_set_ends(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];
        uint32_t n = b->input.stays ? 0 : lease_moved(l);

        l->end = n ? b->input.records[l->first + n - 1].offset + 1 : l->start;
    }
}

struct anchor batch_anchor(const struct batch *b, const struct lease *l)
{
    return anchor_of(&b->input.records[l->first + lease_moved(l) - 1]);
}

bool batch_loads(const struct rows *r, enum plan_exact exact)
{
    return program_loads(r->program) && r->program->plan->exact == exact &&
           r->view.n_rows > r->first_row + r->n_from_cache;
}

bool batch_has_loads(const struct batch *b, enum plan_exact exact)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (batch_loads(&b->rows[i], exact)) {
            return true;
        }
    }
    return false;
}

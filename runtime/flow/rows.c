/* See rows.h. */
#include "flow/rows.h"

#include <stdlib.h>
#include <string.h>

#include "flow/layers.h"

void rows_init(struct rows *r, struct program *g)
{
    memset(r, 0, sizeof(*r));
    r->program = g;
    hash_init(&r->hash);
}

void rows_close(struct rows *r)
{
    hash_close(&r->hash);
}

static struct tm_cell **cell_table(struct rows *r, uint32_t cap)
{
    uint32_t n = r->program->plan->n_columns;
    struct tm_cell **t = arena_alloc(r->arena, (n + 1) * sizeof(*t));

    for (uint32_t i = 0; i < n; i++) {
        t[i] = arena_zero(r->arena, (size_t)cap * sizeof(**t));
    }
    return t;
}

void rows_begin(struct rows *r, struct arena *a, struct events *ev)
{
    const struct plan_projection *p = r->program->plan;

    r->arena = a;
    r->events = ev;
    hash_reset(&r->hash);
    r->first_row = p->kind == KIND_MERGE;
    r->cap_pairs = ev->n + 1;
    r->cap_rows = ev->n + 1 + r->first_row;
    r->n_pairs = r->n_chosen = 0;
    r->emptied_by = -1;
    r->pair_event = arena_alloc(a, r->cap_pairs * sizeof(uint32_t));
    r->pair_row = arena_alloc(a, r->cap_pairs * sizeof(uint32_t));
    r->chosen = NULL;
    r->view = (struct tm_rows){
        .n_columns = p->n_columns,
        .n_rows = r->first_row,
        .projection = r->program->index,
        .cells = arena_zero(a, (p->n_columns + 1) * sizeof(void *)),
    };
    for (uint32_t i = 0; i < p->n_key; i++) {
        r->view.cells[i] = arena_alloc(a, r->cap_rows * sizeof(struct tm_cell));
    }
    r->base = NULL;
    r->order = NULL;
}

static void *grown(struct arena *a, const void *old, size_t old_size,
                   size_t size)
{
    void *p = arena_alloc(a, size);

    memcpy(p, old, old_size);
    return p;
}

/* A record may enter several rows, so pairs can outgrow the events. */
static void grow_pairs(struct rows *r)
{
    size_t old = r->cap_pairs * sizeof(uint32_t);

    r->pair_event = grown(r->arena, r->pair_event, old, 2 * old);
    r->pair_row = grown(r->arena, r->pair_row, old, 2 * old);
    r->cap_pairs *= 2;
}

static void grow_keys(struct rows *r)
{
    size_t old = r->cap_rows * sizeof(struct tm_cell);

    for (uint32_t i = 0; i < r->program->plan->n_key; i++) {
        r->view.cells[i] = grown(r->arena, r->view.cells[i], old, 2 * old);
    }
    r->cap_rows *= 2;
}

static uint64_t int_key(const struct tm_cell *c)
{
    /* Flipping the sign bit makes memcmp order numeric order. */
    return __builtin_bswap64((uint64_t)c->i ^ (1ULL << 63));
}

static bool is_number(const struct tm_cell *c)
{
    return c->tag == TM_INT || c->tag == TM_DATE || c->tag == TM_STAMP;
}

static uint32_t part_len(const struct tm_cell *c)
{
    return is_number(c) ? 8 : c->tag == TM_UUID ? 16 : c->len;
}

/* Several columns: each part with its length in front, so that no two
 * different keys give the same bytes. */
static const char *joined_key(struct rows *r, const struct tm_cell *key,
                              uint32_t n, uint32_t *len)
{
    uint32_t total = 0;
    char *p, *out;

    for (uint32_t i = 0; i < n; i++) {
        total += 4 + part_len(&key[i]);
    }
    p = out = arena_alloc(r->arena, total);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = part_len(&key[i]);
        uint32_t wire = __builtin_bswap32(size);
        uint64_t number = int_key(&key[i]);

        memcpy(p, &wire, 4);
        memcpy(p + 4, is_number(&key[i]) ? (const char *)&number : key[i].p,
               size);
        p += 4 + size;
    }
    *len = total;
    return out;
}

static const char *key_bytes(struct rows *r, const struct tm_cell *key,
                             uint64_t *number, uint32_t *len)
{
    uint32_t n = r->program->plan->n_key;

    if (n > 1) {
        return joined_key(r, key, n, len);
    }
    *len = part_len(key);
    if (is_number(key)) {
        *number = int_key(key);
        return (const char *)number;
    }
    return key->p;
}

static uint32_t row_of(struct rows *r, const struct tm_cell *key)
{
    uint64_t number = 0;
    uint32_t len = 0;
    int is_new = 0;
    const char *p = key_bytes(r, key, &number, &len);
    uint32_t row = hash_put(&r->hash, p, len, &is_new) + r->first_row;

    if (!is_new) {
        return row;
    }
    if (p == (const char *)&number) {
        r->hash.keys[row - r->first_row].p = arena_dup(r->arena, p, len);
    }
    if (row >= r->cap_rows) {
        grow_keys(r);
    }
    for (uint32_t i = 0; i < r->program->plan->n_key; i++) {
        r->view.cells[i][row] = key[i];
    }
    r->view.n_rows = row + 1;
    return row;
}

uint32_t rows_enter(struct rows *r, uint32_t event, const struct tm_cell *key)
{
    uint32_t n_key = r->program->plan->n_key;
    uint32_t row = n_key ? row_of(r, key) : 0;

    /* A list may name one row twice; the event still happened once. */
    for (uint32_t i = r->n_pairs;
         n_key && i > 0 && r->pair_event[i - 1] == event; i--) {
        if (r->pair_row[i - 1] == row) {
            return row;
        }
    }
    if (r->n_pairs == r->cap_pairs) {
        grow_pairs(r);
    }
    r->pair_event[r->n_pairs] = event;
    r->pair_row[r->n_pairs++] = row;
    return row;
}

int64_t rows_find(struct rows *r, const struct tm_cell *key, struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    struct convert_rules rules = {.format = FORMAT_JSON};
    struct tm_cell cells[PROGRAM_MAX_COLUMNS];
    uint64_t number = 0;
    const char *bytes;
    uint32_t len = 0;
    int64_t found;

    for (uint32_t i = 0; i < p->n_key; i++) {
        if (!convert_cell(&p->columns[i].type, &key[i], &rules, r->arena,
                          &cells[i], e)) {
            return -2;
        }
    }
    bytes = key_bytes(r, cells, &number, &len);
    found = hash_get(&r->hash, bytes, len);
    return found < 0 ? -1 : found + r->first_row;
}

void rows_choose(struct rows *r, uint32_t event)
{
    if (!r->chosen) {
        r->chosen =
            arena_alloc(r->arena, (r->events->n + 1) * sizeof(uint32_t));
    }
    r->chosen[r->n_chosen++] = event;
    r->view.pair_event = r->chosen;
    r->view.n_pairs = r->n_chosen;
}

void rows_ready(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;
    uint32_t n = (p->kind == KIND_APPEND ? r->n_pairs : r->view.n_rows) + 1;

    r->view.pair_event = r->pair_event;
    r->view.pair_row = r->pair_row;
    r->view.n_pairs = r->n_pairs;
    r->cap_rows = n;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->view.cells[i] =
            arena_zero(r->arena, (size_t)n * sizeof(struct tm_cell));
    }
    r->view.flags = arena_zero(r->arena, n);
    r->base_flags = arena_zero(r->arena, n);
    r->xmins = NULL;
    r->repeated = NULL;
    r->layers = NULL;
    r->n_layers = r->cap_layers = 0;
    if (p->newer >= 0) {
        r->last_layer = arena_alloc(r->arena, n * sizeof(int32_t));
        memset(r->last_layer, 0xff, n * sizeof(int32_t));
    }
    r->deleted_at = NULL;
    if (p->newer_deletes) {
        r->deleted_at = arena_zero(r->arena, n * sizeof(struct tm_cell));
    }
    r->n_answers = 0;
    r->n_repeated = 0;
    if (r->program->once >= 0) {
        r->repeated = arena_zero(r->arena, r->n_pairs + 1);
    }
    if (p->kind == KIND_APPEND) {
        r->row_event = arena_alloc(r->arena, n * sizeof(uint32_t));
    }
    if (p->kind == KIND_FOLD) {
        r->base = cell_table(r, n);
        r->xmins = arena_zero(r->arena, n * sizeof(uint32_t));
    }
}

void rows_unload(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;

    if (!r->base) {
        return;
    }
    memset(r->base_flags, 0, r->view.n_rows);
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        memset(r->base[i], 0, r->view.n_rows * sizeof(struct tm_cell));
    }
}

void rows_restart(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;

    if (p->kind == KIND_APPEND) {
        r->view.n_rows = 0;
        return;
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        size_t size = r->view.n_rows * sizeof(struct tm_cell);

        if (r->base) {
            memcpy(r->view.cells[i], r->base[i], size);
        } else {
            memset(r->view.cells[i], 0, size);
        }
    }
    memcpy(r->view.flags, r->base_flags, r->view.n_rows);
    for (uint32_t i = 0; r->n_layers && i < r->view.n_rows; i++) {
        layers_drop(r, i);
    }
    r->n_layers = 0;
}

void rows_restart_one(struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->view.cells[i][row] =
            r->base ? r->base[i][row] : (struct tm_cell){.tag = TM_MISSING};
    }
    r->view.flags[row] = r->base_flags[row];
    layers_drop(r, row);
}

int32_t rows_last_event(const struct rows *r, uint32_t row)
{
    if (r->program->plan->kind == KIND_APPEND) {
        return (int32_t)r->row_event[row];
    }
    for (uint32_t i = r->n_pairs; i-- > 0;) {
        if (r->pair_row[i] == row &&
            r->events->states[r->pair_event[i]] == TM_EVENT_OK) {
            return (int32_t)r->pair_event[i];
        }
    }
    return -1;
}

bool rows_changed(const struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (!convert_equal(&r->view.cells[i][row], &r->base[i][row])) {
            return true;
        }
    }
    return false;
}

bool rows_is_first(struct rows *r, uint32_t row)
{
    const struct tm_cell *cell = &r->view.cells[r->program->plan->once][row];
    uint64_t number = 0;
    uint32_t len = 0;
    int is_new = 0;
    const char *p = key_bytes(r, cell, &number, &len);
    uint32_t at = hash_put(&r->hash, p, len, &is_new);

    if (is_new && p == (const char *)&number) {
        r->hash.keys[at].p = arena_dup(r->arena, p, len);
    }
    return is_new;
}

uint32_t rows_repeated(const struct rows *r)
{
    uint32_t n = r->n_repeated;

    for (uint32_t i = 0; r->repeated && i < r->n_pairs; i++) {
        n += r->repeated[i] &&
             r->events->states[r->pair_event[i]] == TM_EVENT_OK;
    }
    return n;
}

struct convert_rules rows_rules(const struct rows *r, int32_t event)
{
    struct convert_rules rules;

    if (event < 0) {
        return r->program->rules[0];
    }
    rules = r->program->rules[r->events->topics[event]];
    rules.has_schema = (r->events->flags[event] & EVENT_HAS_SCHEMA) != 0;
    return rules;
}

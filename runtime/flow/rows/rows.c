/* See rows.h. */
#include "flow/rows/rows.h"

#include <string.h>

/* Rows that a batch function may ask for or append before there must be more
 * room. */
enum { SET_ROWS_LEAST = 64 };

/* Of what a run makes, between runs. */
enum { VALUES_KEEP_BYTES = 2 << 20 };

void rows_init(struct rows *r, struct program *g)
{
    memset(r, 0, sizeof(*r));
    r->program = g;
    hash_init(&r->hash);
    arena_init(&r->values, VALUES_KEEP_BYTES);
}

void rows_close(struct rows *r)
{
    hash_close(&r->hash);
    arena_close(&r->values);
    buf_close(&r->text);
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

void rows_begin(struct rows *r, struct arena *a, struct arena *loaded,
                struct events *ev)
{
    const struct plan_projection *p = r->program->plan;

    r->arena = a;
    r->loaded = loaded;
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
    r->unheld = NULL;
    r->order = r->asked = r->row_lease = NULL;
    r->marks = NULL;
    r->n_from_cache = 0;
    r->row_event = r->good_event = r->good_row = NULL;
    r->n_known = 0;
}

void *rows_grown(struct arena *a, const void *old, size_t old_size, size_t size)
{
    void *p = arena_alloc(a, size);

    memcpy(p, old, old_size);
    return p;
}

/* Zeroes behind what was there. */
static void *doubled(struct rows *r, const void *old, size_t item)
{
    size_t size = r->cap_rows * item;
    char *p = rows_grown(r->arena, old, size, 2 * size);

    memset(p + size, 0, size);
    return p;
}

void rows_grow(struct rows *r)
{
    for (uint32_t i = 0; i < r->program->plan->n_columns; i++) {
        r->view.cells[i] = doubled(r, r->view.cells[i], sizeof(struct tm_cell));
        if (r->base) {
            r->base[i] = doubled(r, r->base[i], sizeof(struct tm_cell));
        }
    }
    r->view.flags = doubled(r, r->view.flags, 1);
    r->base_flags = doubled(r, r->base_flags, 1);
    if (r->xmins) {
        r->xmins = doubled(r, r->xmins, sizeof(uint32_t));
    }
    if (r->row_event) {
        r->row_event = doubled(r, r->row_event, sizeof(uint32_t));
    }
    r->cap_rows *= 2;
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

/* Room for [n] rows, of which some are not there yet. */
static void widen_keys(struct rows *r, uint32_t n)
{
    size_t size = r->view.n_rows * sizeof(struct tm_cell);

    for (uint32_t i = 0; i < r->program->plan->n_key; i++) {
        r->view.cells[i] = rows_grown(r->arena, r->view.cells[i], size,
                                      n * sizeof(struct tm_cell));
    }
}

void rows_ready(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;
    uint32_t n = (p->kind == KIND_APPEND ? r->n_pairs : r->view.n_rows) + 1;

    if (r->table_set) {
        n += SET_ROWS_LEAST;
        widen_keys(r, n);
    }

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
    if (p->kind == KIND_APPEND || r->table_set) {
        r->row_event = arena_alloc(r->arena, n * sizeof(uint32_t));
        memset(r->row_event, 0xff, n * sizeof(uint32_t));
    }
    if (p->kind == KIND_FOLD) {
        r->base = cell_table(r, n);
        r->xmins = arena_zero(r->arena, n * sizeof(uint32_t));
    }
    r->marks = p->is_cached ? arena_zero(r->arena, n) : NULL;
}

void rows_unload(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;

    if (!r->base) {
        return;
    }
    r->unheld = NULL;
    r->n_from_cache = 0;
    if (r->marks) {
        memset(r->marks, 0, r->view.n_rows);
    }
    memset(r->base_flags, 0, r->view.n_rows);
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        memset(r->base[i], 0, r->view.n_rows * sizeof(struct tm_cell));
    }
}

void rows_not_held(struct rows *r, uint32_t row, const char *why)
{
    const struct plan_projection *p = r->program->plan;

    if (!r->unheld) {
        r->unheld = arena_zero(r->loaded, r->n_known * sizeof(*r->unheld));
    }
    r->unheld[row] = why;
    r->base_flags[row] = 0;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->base[i][row] = (struct tm_cell){.tag = TM_MISSING};
    }
}

const char *rows_unheld(const struct rows *r, uint32_t row)
{
    return r->unheld && row < r->n_known ? r->unheld[row] : NULL;
}

void rows_restart(struct rows *r)
{
    const struct plan_projection *p = r->program->plan;

    arena_reset(&r->values);
    r->rooms = NULL;
    r->view.unread = r->program->facts->unread;
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
        rows_drop_layers(r, i);
    }
    r->layers = NULL;
    r->n_layers = r->cap_layers = 0;
}

void rows_restart_one(struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->view.cells[i][row] =
            r->base ? r->base[i][row] : (struct tm_cell){.tag = TM_MISSING};
    }
    r->view.flags[row] = r->base_flags[row];
    rows_drop_layers(r, row);
}

static int32_t last_pair(const struct rows *r, uint32_t row)
{
    for (uint32_t i = r->n_pairs; i-- > 0;) {
        if (r->pair_row[i] == row &&
            r->events->states[r->pair_event[i]] == TM_EVENT_OK) {
            return (int32_t)r->pair_event[i];
        }
    }
    return -1;
}

int32_t rows_last_event(const struct rows *r, uint32_t row)
{
    int32_t asked = r->row_event ? (int32_t)r->row_event[row] : -1;
    int32_t entered;

    if (r->program->plan->kind == KIND_APPEND) {
        return asked;
    }
    entered = last_pair(r, row);
    if (asked >= 0 && r->events->states[asked] != TM_EVENT_OK) {
        asked = -1;
    }
    return asked > entered ? asked : entered;
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
        return r->program->own_rules;
    }
    rules = r->program->rules[r->events->topics[event]];
    rules.has_schema = (r->events->flags[event] & EVENT_HAS_SCHEMA) != 0;
    rules.is_mysql = (r->events->flags[event] & EVENT_OF_MYSQL) != 0;
    return rules;
}

void rows_know_time(const struct rows *r, int32_t event,
                    const struct coltype *t, struct tm_cell *c)
{
    const struct events *ev = r->events;

    if (t->kind < TYPE_DATE || t->kind > TYPE_TIMESTAMPTZ ||
        (c->tag != TM_INT && c->tag != TM_DEC)) {
        return;
    }
    if (c->tag == TM_DEC && c->scale == 0) {
        c->tag = TM_INT; /* decimal(event.time) */
    }
    if (event >= 0) {
        c->hint = decoder_hint(r->decoder, ev, (uint32_t)event, c);
    }
    for (uint32_t i = 0; (r->table_set || event < 0) && !c->hint && i < ev->n;
         i++) {
        c->hint = decoder_hint(r->decoder, ev, i, c);
    }
}

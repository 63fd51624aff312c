/* See layers.h. */
#include "flow/rows/layers.h"

#include <string.h>

/* Columns behind the key that are assigned. */
static void find_mask(const struct rows *r, const struct tm_cell *cells,
                      uint64_t mask[PLAN_COLUMN_WORDS])
{
    const struct plan_projection *p = r->program->plan;

    memset(mask, 0, r->program->n_words * sizeof(*mask));
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (cells[i].tag != TM_MISSING) {
            columns_add(mask, i);
        }
    }
}

static void prune(struct rows *r, uint32_t row, const uint64_t *given)
{
    int32_t *link = &r->last_layer[row];

    while (*link >= 0) {
        struct layer *l = &r->layers[*link];

        if (!columns_within(l->mask, given, r->program->n_words)) {
            link = &l->before;
        } else {
            *link = l->before;
        }
    }
}

static void push(struct rows *r, uint32_t row, const struct tm_cell *cells,
                 const uint64_t *mask)
{
    size_t size = r->program->n_words * sizeof(*mask);
    uint32_t n_columns = r->program->plan->n_columns;
    uint32_t n_key = r->program->plan->n_key;
    struct layer *l;

    if (r->n_layers == r->cap_layers) {
        struct layer *old = r->layers;

        r->cap_layers = r->cap_layers ? 2 * r->cap_layers : 16;
        r->layers = arena_alloc(&r->values, r->cap_layers * sizeof(*l));
        if (r->n_layers) {
            memcpy(r->layers, old, r->n_layers * sizeof(*l));
        }
    }
    l = &r->layers[r->n_layers];
    *l = (struct layer){.row = row, .before = r->last_layer[row]};
    l->mask = memcpy(arena_alloc(&r->values, size), mask, size);
    l->cells = arena_alloc(&r->values, n_columns * sizeof(*l->cells));
    memcpy(l->cells, cells, n_columns * sizeof(*cells));
    for (uint32_t i = 0; i < n_key; i++) {
        l->cells[i] = r->view.cells[i][row];
    }
    r->last_layer[row] = (int32_t)r->n_layers++;
}

void layers_cover(struct rows *r, uint32_t row, const struct tm_cell *before,
                  const struct tm_cell *given)
{
    uint64_t mask[PLAN_COLUMN_WORDS], later[PLAN_COLUMN_WORDS];

    find_mask(r, before, mask);
    find_mask(r, given, later);
    if (r->n_layers) {
        prune(r, row, later);
    }
    if (!columns_within(mask, later, r->program->n_words)) {
        push(r, row, before, mask);
    }
}

int32_t layers_at(const struct rows *r, uint32_t row, uint32_t depth)
{
    uint32_t n = 0;
    int32_t at = r->last_layer[row];

    for (int32_t i = at; i >= 0; i = r->layers[i].before) {
        n++;
    }
    for (uint32_t up = depth + 1; up < n; up++) {
        at = r->layers[at].before;
    }
    return depth < n ? at : -1;
}

struct tm_cell **layers_cells(const struct rows *r)
{
    uint32_t n_columns = r->program->plan->n_columns;
    struct tm_cell **cells = arena_alloc(r->loaded, n_columns * sizeof(*cells));

    for (uint32_t i = 0; i < n_columns; i++) {
        cells[i] = arena_alloc(r->loaded, r->n_layers * sizeof(**cells));
        for (uint32_t k = 0; k < r->n_layers; k++) {
            cells[i][k] = r->layers[k].cells[i];
        }
    }
    return cells;
}

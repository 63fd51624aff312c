/* See table_set.h. */
#include "flow/rows/table_set.h"

#include <stdlib.h>

struct table_set *table_sets_new(struct rows *rows, uint32_t n_rows,
                                 uint32_t *n_sets)
{
    struct table_set *sets = mem_zero(n_rows + 1, sizeof(*sets));

    *n_sets = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        uint32_t n = rows[i].program->plan->n_set;
        struct table_set *s = &sets[*n_sets];

        if (n == 0) {
            continue;
        }
        s->rows = &rows[i];
        s->view.n_tables = n;
        s->view.tables = mem_zero(n, sizeof(*s->view.tables));
        for (uint32_t k = 0; k < n; k++) {
            rows[i + k].table_set = s;
            s->view.tables[k] = &rows[i + k].view;
        }
        (*n_sets)++;
    }
    return sets;
}

void table_sets_free(struct table_set *sets, uint32_t n_sets)
{
    for (uint32_t i = 0; i < n_sets; i++) {
        free(sets[i].view.tables);
    }
    free(sets);
}

bool table_set_leads(const struct rows *r)
{
    return r->table_set && r->table_set->rows == r;
}

void table_set_reset(struct table_set *s, struct arena *a, uint32_t n_events)
{
    s->events = arena_alloc(a, (n_events + 1) * sizeof(*s->events));
    s->good = NULL;
    s->n_events = 0;
}

void table_set_add(struct table_set *s, uint32_t event)
{
    s->events[s->n_events++] = event;
}

static uint32_t count_good(const struct rows *r, const uint32_t *events,
                           uint32_t n)
{
    uint32_t n_good = 0;

    for (uint32_t i = 0; i < n; i++) {
        n_good += r->events->states[events[i]] == TM_EVENT_OK;
    }
    return n_good;
}

static void show_events(struct table_set *s)
{
    const uint8_t *states = s->rows->events->states;
    uint32_t n = 0;

    s->view.events = s->events;
    s->view.n_events = count_good(s->rows, s->events, s->n_events);
    if (s->view.n_events == s->n_events) {
        return;
    }
    if (!s->good) {
        s->good = arena_alloc(s->rows->arena, s->n_events * sizeof(*s->good));
    }
    for (uint32_t i = 0; i < s->n_events; i++) {
        if (states[s->events[i]] == TM_EVENT_OK) {
            s->good[n++] = s->events[i];
        }
    }
    s->view.events = s->good;
}

/* Loops in Lua see only pairs of events that are applied, so that they need not
 * look at each one's state. */
static void show_pairs(struct rows *r)
{
    const uint8_t *states = r->events->states;
    uint32_t n = 0;

    r->has_groups = false;
    r->view.pair_event = r->pair_event;
    r->view.pair_row = r->pair_row;
    r->view.n_pairs = count_good(r, r->pair_event, r->n_pairs);
    if (r->view.n_pairs == r->n_pairs) {
        return;
    }
    if (!r->good_event) {
        r->good_event = arena_alloc(r->arena, r->n_pairs * sizeof(uint32_t));
        r->good_row = arena_alloc(r->arena, r->n_pairs * sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        if (states[r->pair_event[i]] == TM_EVENT_OK) {
            r->good_event[n] = r->pair_event[i];
            r->good_row[n++] = r->pair_row[i];
        }
    }
    r->view.pair_event = r->good_event;
    r->view.pair_row = r->good_row;
}

void table_set_begin(struct table_set *s)
{
    show_events(s);
    for (uint32_t i = 0; i < s->view.n_tables; i++) {
        rows_restart(&s->rows[i]);
        show_pairs(&s->rows[i]);
    }
    s->view.n_unknown = s->view.n_named = 0;
}

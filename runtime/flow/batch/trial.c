/*
 * Trial runs: the path of a batch from records to rows without Kafka and
 * PostgreSQL, driven by scripts/tidemill/testing.lua; see model/api.h. The
 * batch, the decoder, the keys and the rows are the ones of production.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "flow/batch/batch.h"
#include "flow/batch/blame.h"
#include "flow/rows/headers.h"
#include "flow/rows/keys.h"
#include "flow/rows/mirror.h"

struct tm_trial {
    struct generation *generation; /* owned */
    struct batch batch;
    struct arena bytes;     /* copies of records */
    struct record *records; /* owned */
    uint32_t n;
    bool is_ok;
    struct err error;
};

static void say(struct tm_batch *b, const struct err *e)
{
    snprintf(b->error, sizeof(b->error), "%.500s", e->text);
    b->error_class = (int32_t)e->class;
}

struct tm_trial *tm_trial_new(const void *plan)
{
    struct tm_trial *t = mem_zero(1, sizeof(*t));

    arena_init(&t->bytes, 1 << 20);
    t->generation = generation_new(NULL, NULL, plan, headers_find);
    t->is_ok = generation_prepare(t->generation, &t->error);
    batch_init(&t->batch);
    batch_bind(&t->batch, t->generation);
    return t;
}

void tm_trial_free(struct tm_trial *t)
{
    batch_close(&t->batch);
    generation_drop(t->generation);
    arena_close(&t->bytes);
    free(t->records);
    free(t);
}

void tm_trial_reset(struct tm_trial *t)
{
    arena_reset(&t->bytes);
    t->n = 0;
}

static const char *copied(struct tm_trial *t, const char *p, int len)
{
    return len < 0 ? NULL : arena_dup(&t->bytes, p, (size_t)len);
}

void tm_trial_event(struct tm_trial *t, const char *topic, int32_t partition,
                    int64_t offset, int64_t time_ms, const char *key,
                    int key_len, const char *value, int value_len)
{
    t->records = mem_grow(t->records, (t->n + 1) * sizeof(*t->records));
    t->records[t->n++] = (struct record){
        .key = copied(t, key, key_len),
        .key_len = key_len < 0 ? 0 : (uint32_t)key_len,
        .value = copied(t, value, value_len),
        .value_len = value_len < 0 ? 0 : (uint32_t)value_len,
        .offset = offset,
        .time_ms = time_ms,
        .topic = arena_dup(&t->bytes, topic, strlen(topic)),
        .partition = partition,
        .message = arena_zero(&t->bytes, sizeof(struct headers)),
    };
}

void tm_trial_header(struct tm_trial *t, const char *name, const char *value,
                     int value_len)
{
    struct headers *h = t->records[t->n - 1].message;
    struct record_header *list =
        arena_alloc(&t->bytes, (h->n + 1) * sizeof(*list));

    if (h->n) {
        memcpy(list, h->list, h->n * sizeof(*list));
    }
    list[h->n++] = (struct record_header){
        arena_dup(&t->bytes, name, strlen(name)), copied(t, value, value_len),
        value_len < 0 ? 0 : (size_t)value_len};
    h->list = list;
}

struct tm_batch *tm_trial_decode(struct tm_trial *t)
{
    struct batch *b = &t->batch;

    batch_clear(b);
    b->input.records = t->records;
    b->input.header = headers_find;
    batch_prepare(b, t->n);
    batch_decode(b, t->n);
    b->input.view.generation++;
    if (!t->is_ok) {
        snprintf(b->input.view.error, sizeof(b->input.view.error), "%.500s",
                 t->error.text);
    }
    return &b->input.view;
}

int tm_trial_is_flat(struct tm_trial *t)
{
    return (t->batch.input.events.flags[0] & EVENT_FLAT) != 0;
}

int tm_trial_halts(struct tm_trial *t, const char *reason)
{
    return !t->is_ok || batch_class(&t->batch, reason) == ERR_CONFIG;
}

struct tm_rows *tm_trial_rows(struct tm_trial *t, uint32_t projection)
{
    struct batch *b = &t->batch;
    struct rows *r = &b->rows[projection];
    uint32_t event = 0;
    struct err e;

    if (!t->is_ok) {
        return NULL;
    }
    keys_begin(r, &b->memory.arena, &b->memory.loaded, &b->input.events);
    if (!keys_collect(r, t->generation->decoder, &event, &e)) {
        b->input.view.current = (int32_t)event;
        say(&b->input.view, &e);
        return NULL;
    }
    if (r->n_chosen == 0) {
        tm_trial_ready(t, &r->view);
    }
    return &r->view;
}

static bool is_live(const struct rows *r, uint32_t number)
{
    int32_t i = r->last_layer[r->layers[number].row];

    while (i >= 0 && (uint32_t)i != number) {
        i = r->layers[i].before;
    }
    return i >= 0;
}

const struct tm_cell *tm_trial_layer(struct tm_trial *t, struct tm_rows *view,
                                     uint32_t number, int32_t *row)
{
    struct rows *r = (struct rows *)view;

    (void)t;
    *row = -1;
    if (number >= r->n_layers) {
        return NULL;
    }
    *row = (int32_t)r->layers[number].row;
    return is_live(r, number) ? r->layers[number].cells : NULL;
}

const struct tm_cell *tm_trial_deleted(struct tm_trial *t, struct tm_rows *view,
                                       uint32_t row)
{
    const struct rows *r = (struct rows *)view;

    (void)t;
    return r->deleted_at && r->deleted_at[row].tag > TM_NULL
               ? &r->deleted_at[row]
               : NULL;
}

int tm_trial_emptied(struct tm_trial *t, struct tm_rows *view)
{
    (void)t;
    return ((struct rows *)view)->emptied_by >= 0;
}

void tm_trial_ready(struct tm_trial *t, struct tm_rows *view)
{
    (void)t;
    rows_ready((struct rows *)view);
    rows_restart((struct rows *)view);
}

int tm_trial_find(struct tm_trial *t, struct tm_rows *view,
                  const struct tm_cell *key)
{
    struct rows *r = (struct rows *)view;
    struct tm_batch *b = &t->batch.input.view;
    struct err e;
    int64_t row = rows_find(r, key, &e);

    if (row == TM_NO_KEY) {
        say(b, &e);
    }
    return (int)row;
}

int tm_trial_given(struct tm_trial *t, struct tm_rows *view, uint32_t column,
                   uint32_t row, const struct tm_cell *value)
{
    struct rows *r = (struct rows *)view;

    t->batch.input.view.current = -1;
    if (rows_put(r, r->loaded, column, row, value) < 0) {
        return -1;
    }
    r->base_flags[row] = TM_ROW_LOADED | TM_ROW_EXISTS;
    view->flags[row] = r->base_flags[row];
    if (r->base) {
        r->base[column][row] = view->cells[column][row];
    }
    return 0;
}

struct tm_table_set *tm_trial_table_set(struct tm_trial *t,
                                        struct tm_rows *first)
{
    struct table_set *s = ((struct rows *)first)->table_set;

    (void)t;
    table_set_begin(s);
    for (uint32_t i = 0; i < s->view.n_tables; i++) {
        s->rows[i].n_known = s->rows[i].view.n_rows;
    }
    return &s->view;
}

int tm_trial_mirror(struct tm_trial *t, struct tm_rows *view)
{
    uint32_t pair = 0;
    struct err e;

    if (mirror_apply((struct rows *)view, &pair, &e)) {
        return 0;
    }
    t->batch.input.view.current = (int32_t)view->pair_event[pair];
    say(&t->batch.input.view, &e);
    return -1;
}

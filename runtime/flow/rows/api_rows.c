/*
 * The row half of model/api.h: what handlers do to rows. See rows.h. Each
 * function leaves its reason in tm_batch.error and never raises.
 */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "flow/rows/keys.h"
#include "flow/rows/layers.h"
#include "flow/rows/rows.h"
#include "model/decimal.h"

static struct rows *rows_of(struct tm_rows *view)
{
    return (struct rows *)view;
}

/* Rows, columns and events come from Lua, and are ours nevertheless: a wrong one
 * is a bug, and would write anywhere. */
void tm_must_hold(const struct tm_rows *view, uint32_t column, uint32_t row)
{
    must(column < view->n_columns && row < view->n_rows);
}

static void must_be_row(const struct tm_rows *view, uint32_t row)
{
    must(row < view->n_rows);
}

static int fail(struct tm_batch *b, const struct rows *r, uint32_t column,
                enum err_class class, const char *why)
{
    const struct plan_projection *p = r->program->plan;

    snprintf(b->error, sizeof(b->error), "%s.%s: %.420s", p->table,
             p->columns[column].name, why);
    b->error_class = (int32_t) class;
    return class == ERR_CONFIG ? TM_UNSAID : -1;
}

/* Bytes of texts that are given room to grow in. */
enum { ROOM_LEAST = 1024, ROOM_MOST = INT32_MAX };

static uint32_t size_of(const struct tm_cell *c)
{
    switch (c->tag) {
    case TM_BIGDEC:
        return sizeof(struct tm_dec);
    case TM_UUID:
        return 16;
    case TM_NUMBER:
    case TM_TEXT:
    case TM_OBJECT:
    case TM_ARRAY:
    case TM_BYTES:
    case TM_JSON:
    case TM_LITERAL:
        return c->len;
    default:
        return 0;
    }
}

/* Text from Lua lives in a string that may be collected while the batch waits
 * for the database: keep a copy. */
static struct tm_cell kept(struct arena *a, const struct tm_cell *in)
{
    struct tm_cell copy = *in;
    uint32_t size = size_of(in);

    if (size) {
        copy.p = arena_dup(a, in->p, size);
    }
    return copy;
}

/* Does what came out of a conversion still point to what went in? */
static bool is_within(const struct tm_cell *out, const struct tm_cell *in)
{
    uint32_t size = size_of(in);

    return size_of(out) && size && out->p >= in->p && out->p < in->p + size;
}

/* Text that was assigned to a row before is likely to be so again, and longer. */
static struct room *room_of(struct rows *r, uint32_t column, uint32_t row)
{
    uint32_t n = r->program->plan->n_columns;

    if (!r->rooms) {
        r->rooms = arena_zero(&r->values, n * sizeof(*r->rooms));
        r->cap_rooms = r->cap_rows;
    }
    if (row >= r->cap_rooms) {
        return NULL;
    }
    if (!r->rooms[column]) {
        r->rooms[column] =
            arena_zero(&r->values, r->cap_rooms * sizeof(struct room));
    }
    return &r->rooms[column][row];
}

static void keep_in_room(struct rows *r, struct room *room, struct tm_cell *out)
{
    if (!room->p || room->cap < out->len) {
        room->cap = room->p ? 2 * out->len : out->len;
        room->p = arena_alloc(&r->values, room->cap);
    }
    out->p = memmove(room->p, out->p, out->len);
}

/* Only folds read what they assign. Layers of `newer` and sums of a merge have
 * copies of cells, so their bytes must stay as they are. */
static void keep(struct rows *r, struct arena *a, uint32_t column, uint32_t row,
                 struct tm_cell *out)
{
    bool may_grow = out->tag == TM_TEXT && out->len >= ROOM_LEAST &&
                    out->len <= ROOM_MOST && a == &r->values &&
                    r->program->plan->kind == KIND_FOLD;
    struct room *room = may_grow ? room_of(r, column, row) : NULL;

    if (room) {
        keep_in_room(r, room, out);
    } else {
        out->p = arena_dup(a, out->p, size_of(out));
    }
}

/* What the decoder gives is UTF-8, but scripts count bytes; PostgreSQL would
 * refuse a whole batch for one character that was cut. */
static const char not_utf8[] =
    "the text is not UTF-8, so PostgreSQL cannot store it: string.sub, reverse "
    "and char work on bytes and may leave a part of a character";

static bool is_utf8(const struct tm_cell *c)
{
    return c->tag < TM_NUMBER || c->tag > TM_ARRAY ||
           utf8_valid(c->p, c->len) == c->len;
}

/* Of what one value reads as. */
enum { TEXT_KEEP_BYTES = 64 << 10 };

const char rows_made_too_much[] =
    "the handlers make too much of this record: at most 16 times `bytes` of "
    "batch{}, or of the record or its row, whatever is largest: assign less, "
    "or "
    "append rows in place of a text that grows";

bool rows_are_over(const struct rows *r)
{
    return r->values.limit && r->values.limit->is_over;
}

int rows_put(struct rows *r, struct arena *a, uint32_t column, uint32_t row,
             const struct tm_cell *in)
{
    struct tm_batch *b = r->events->view;
    const struct coltype *t = &r->program->plan->columns[column].type;
    struct convert_rules rules = rows_rules(r, b->current);
    struct tm_cell known = *in;
    struct tm_cell out;
    struct err e;

    tm_must_hold(&r->view, column, row);
    if (!is_utf8(in)) {
        return fail(b, r, column, ERR_DATA, not_utf8);
    }
    rows_know_time(r, b->current, t, &known);
    if (!convert_cell(t, &known, &rules, a, &out, &e)) {
        return fail(b, r, column, e.class, e.text);
    }
    if (is_within(&out, in)) {
        keep(r, a, column, row, &out);
    }
    if (out.tag != TM_MISSING) {
        r->view.cells[column][row] = out;
    }
    return 0;
}

int tm_put(struct tm_batch *b, struct tm_rows *view, uint32_t column,
           uint32_t row, const struct tm_cell *in)
{
    struct rows *r = rows_of(view);

    if (rows_are_over(r)) {
        return fail(b, r, column, ERR_SCRIPT, rows_made_too_much);
    }
    return rows_put(r, &r->values, column, row, in);
}

int tm_text(struct tm_batch *b, struct tm_rows *view, uint32_t column,
            const struct tm_cell *cell, const char **p, size_t *len)
{
    struct rows *r = rows_of(view);
    struct buf *text = &r->text;

    must(column < view->n_columns);
    (void)b;
    if (text->cap > TEXT_KEEP_BYTES) {
        buf_close(text);
    }
    buf_clear(text);
    convert_text(&r->program->plan->columns[column].type, cell, text);
    *len = text->len;
    *p = text->data ? text->data : "";
    return 0;
}

static void set_initial(struct rows *r, uint32_t row)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->view.cells[i][row] = r->program->initial[i];
    }
}

int tm_row_create(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    struct rows *r = rows_of(view);

    must_be_row(view, row);
    (void)b;
    /* A merge only contributes what a handler assigned. */
    if (r->program->plan->kind != KIND_MERGE) {
        set_initial(r, row);
    }
    view->flags[row] |= TM_ROW_EXISTS | TM_ROW_TOUCHED;
    return 0;
}

int tm_row_reset(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    const struct plan_projection *p = rows_of(view)->program->plan;
    struct tm_cell version = {.tag = TM_MISSING};
    int once;

    must_be_row(view, row);
    once = view->flags[row] & TM_ROW_EXISTS ? p->once : -1;
    if (once >= 0) {
        version = view->cells[once][row];
    }
    tm_row_create(b, view, row);
    if (once >= 0) {
        view->cells[once][row] = version; /* what was applied stays applied */
    }
    /* Columns without an initial value go back to NULL, not to "as it was". */
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (view->cells[i][row].tag == TM_MISSING) {
            view->cells[i][row].tag = TM_NULL;
        }
    }
    return 0;
}

int tm_row_delete(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    const struct plan_projection *p = rows_of(view)->program->plan;

    must_be_row(view, row);
    (void)b;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        view->cells[i][row].tag = TM_MISSING;
    }
    view->flags[row] &= (uint8_t)~TM_ROW_EXISTS;
    view->flags[row] |= TM_ROW_TOUCHED | TM_ROW_CLEARED;
    rows_drop_layers(rows_of(view), row);
    return 0;
}

int tm_row_layer(struct tm_batch *b, struct tm_rows *view, uint32_t row,
                 const struct tm_cell *before)
{
    struct rows *r = rows_of(view);
    const struct plan_projection *p = r->program->plan;

    must_be_row(view, row);
    (void)b;
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        r->program->scratch[i] = view->cells[i][row];
    }
    layers_cover(r, row, before, r->program->scratch);
    return 0;
}

int tm_row_restart(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    must_be_row(view, row);
    (void)b;
    rows_restart_one(rows_of(view), row);
    return 0;
}

int tm_row_undo(struct tm_batch *b, struct tm_rows *view, uint32_t event)
{
    const struct rows *r = rows_of(view);

    (void)b;
    while (view->n_rows > 0 && r->row_event[view->n_rows - 1] == event) {
        view->n_rows--;
    }
    return 0;
}

int tm_row_append(struct tm_batch *b, struct tm_rows *view, uint32_t event)
{
    struct rows *r = rows_of(view);
    uint32_t row = view->n_rows;

    if (rows_are_over(r)) {
        snprintf(b->error, sizeof(b->error), "%s", rows_made_too_much);
        b->error_class = ERR_SCRIPT;
        return -1;
    }
    if (row == r->cap_rows) {
        rows_grow(r);
    }
    view->n_rows++;
    view->flags[row] = 0;
    r->row_event[row] = event;
    tm_row_create(b, view, row);
    return (int)row;
}

int tm_row_drop(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    (void)b;
    must(row + 1 == view->n_rows);
    view->n_rows--;
    return 0;
}

/* NaN is equal to itself and above all others, as in PostgreSQL. */
static int compare_doubles(double a, double b)
{
    return a != a || b != b ? (a != a) - (b != b) : (a > b) - (a < b);
}

int tm_cell_compare(const struct tm_cell *a, const struct tm_cell *b)
{
    struct tm_dec x, y;

    if (a->tag == TM_DOUBLE) {
        return compare_doubles(a->d, b->d);
    }
    if (dec_from_cell(a, &x) && dec_from_cell(b, &y)) {
        return tm_dec_compare(&x, &y);
    }
    if (a->tag == TM_TEXT || a->tag == TM_BYTES) {
        uint32_t len = a->len < b->len ? a->len : b->len;
        int order = memcmp(a->p, b->p, len);

        return order ? order : (a->len > b->len) - (a->len < b->len);
    }
    return (a->i > b->i) - (a->i < b->i);
}

static int no_version(struct tm_batch *b, const struct rows *r)
{
    const struct plan_projection *p = r->program->plan;

    b->error_class = ERR_DATA;
    snprintf(b->error, sizeof(b->error),
             "%s.%s: the event has no %s, which tells whether it was applied "
             "before (once)",
             p->table, p->columns[p->once].name, p->once_path);
    return -1;
}

int tm_once(struct tm_batch *b, struct tm_rows *view, uint32_t pair,
            struct tm_cell *version)
{
    struct rows *r = rows_of(view);
    const struct plan_projection *p = r->program->plan;
    must(pair < view->n_pairs);
    uint32_t event = view->pair_event[pair], row = view->pair_row[pair];
    const struct tm_cell *have = &view->cells[p->once][row];
    const struct convert_rules rules = rows_rules(r, (int32_t)event);
    struct err e;

    if (!convert_cell(&p->columns[p->once].type,
                      &r->events->columns[r->program->once][event], &rules,
                      &r->values, version, &e)) {
        return fail(b, r, (uint32_t)p->once, e.class, e.text);
    }
    if (version->tag <= TM_NULL) {
        return no_version(b, r);
    }
    r->repeated[pair] = (view->flags[row] & TM_ROW_EXISTS) &&
                        have->tag > TM_NULL &&
                        tm_cell_compare(version, have) <= 0;
    return !r->repeated[pair];
}

static bool add_cells(struct rows *r, uint32_t column, const struct tm_cell *a,
                      const struct tm_cell *b, struct tm_cell *out)
{
    const struct coltype *t = &r->program->plan->columns[column].type;
    struct convert_rules rules = {.format = FORMAT_JSON};
    struct tm_dec x, y, sum;
    struct tm_cell cell;
    struct err e;

    if (a->tag == TM_DOUBLE) {
        cell = (struct tm_cell){.d = a->d + b->d, .tag = TM_DOUBLE};
        return convert_cell(t, &cell, &rules, &r->values, out, &e);
    }
    if (!dec_from_cell(a, &x) || !dec_from_cell(b, &y) ||
        tm_dec_add(&x, &y, &sum) < 0) {
        return false;
    }
    dec_to_cell(&sum, &r->values, &cell);
    return convert_cell(t, &cell, &rules, &r->values, out, &e);
}

static int merge_cell(struct tm_batch *b, struct rows *r, uint32_t column,
                      const struct tm_cell *in, struct tm_cell *into)
{
    enum plan_merge how = r->program->plan->columns[column].merge;

    if (in->tag == TM_MISSING || in->tag == TM_NULL) {
        return 0;
    }
    if (into->tag == TM_MISSING || into->tag == TM_NULL) {
        *into = *in;
    } else if (how == MERGE_SUM) {
        if (!add_cells(r, column, in, into, into)) {
            return fail(b, r, column, ERR_DATA, "the sum is out of range");
        }
    } else if ((tm_cell_compare(in, into) > 0) == (how == MERGE_MAX)) {
        *into = *in;
    }
    return 0;
}

int tm_row_merge(struct tm_batch *b, struct tm_rows *view, uint32_t row)
{
    struct rows *r = rows_of(view);
    const struct plan_projection *p = r->program->plan;
    int result = 0;

    must_be_row(view, row);
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        if (merge_cell(b, r, i, &view->cells[i][0], &view->cells[i][row]) < 0) {
            result = -1;
        }
        view->cells[i][0].tag = TM_MISSING;
    }
    if (view->flags[0] & TM_ROW_TOUCHED) {
        view->flags[row] |= TM_ROW_TOUCHED | TM_ROW_EXISTS;
    }
    view->flags[0] = 0;
    return result;
}

int tm_key(struct tm_batch *b, struct tm_rows *view, uint32_t event,
           const struct tm_cell *cells)
{
    struct rows *r = rows_of(view);
    const struct plan_projection *p = r->program->plan;
    struct tm_cell key[PLAN_KEY_COLUMNS];
    struct err e;

    for (uint32_t i = 0; i < p->n_key; i++) {
        if (p->columns[i].from != FROM_FUNCTION) {
            continue;
        }
        if (rows_are_over(r)) {
            return fail(b, r, i, ERR_SCRIPT, rows_made_too_much);
        }
        if (!is_utf8(&cells[i])) {
            return fail(b, r, i, ERR_DATA, not_utf8);
        }
        key[i] = kept(r->arena, &cells[i]);
        rows_know_time(r, (int32_t)event, &p->columns[i].type, &key[i]);
    }
    if (!keys_enter(r, event, key, &e)) {
        b->error_class = (int32_t)e.class;
        snprintf(b->error, sizeof(b->error), "%.500s", e.text);
        b->error_class = (int32_t)e.class;
        return -1;
    }
    return 0;
}

/*
 * The half of rows.h that finds and makes rows by their keys. See there.
 */
#include <string.h>

#include "base/utf8.h"
#include "flow/rows/rows.h"
#include "model/decimal.h"

/* A record may enter several rows, so pairs can outgrow the events. */
static void grow_pairs(struct rows *r)
{
    size_t old = r->cap_pairs * sizeof(uint32_t);

    r->pair_event = rows_grown(r->arena, r->pair_event, old, 2 * old);
    r->pair_row = rows_grown(r->arena, r->pair_row, old, 2 * old);
    r->cap_pairs *= 2;
}

static void grow_keys(struct rows *r)
{
    size_t old = r->cap_rows * sizeof(struct tm_cell);

    for (uint32_t i = 0; i < r->program->plan->n_key; i++) {
        r->view.cells[i] = rows_grown(r->arena, r->view.cells[i], old, 2 * old);
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
    return c->tag == TM_INT || c->tag == TM_DATE || c->tag == TM_STAMP ||
           c->tag == TM_BOOL;
}

static bool is_decimal(const struct tm_cell *c)
{
    return c->tag == TM_DEC || c->tag == TM_BIGDEC;
}

static uint32_t part_len(const struct tm_cell *c)
{
    return is_number(c) ? 8 : c->tag == TM_UUID ? 16 : c->len;
}

/* A decimal as its text, which a key has in one way alone (is_identity). */
static struct tm_cell part_of(struct arena *a, const struct tm_cell *c)
{
    struct tm_cell part = {.tag = TM_TEXT};
    char text[64];
    struct tm_dec d;

    if (!is_decimal(c)) {
        return *c;
    }
    must(dec_from_cell(c, &d));
    part.len = (uint32_t)tm_dec_format(&d, text);
    part.p = arena_dup(a, text, part.len);
    return part;
}

/* Several columns: each part with its length in front, so that no two
 * different keys give the same bytes. */
static const char *joined_key(struct arena *a, const struct tm_cell *key,
                              uint32_t n, uint32_t *len)
{
    struct tm_cell parts[PLAN_KEY_COLUMNS];
    uint32_t total = 0;
    char *p, *out;

    for (uint32_t i = 0; i < n; i++) {
        parts[i] = part_of(a, &key[i]);
        total += 4 + part_len(&parts[i]);
    }
    p = out = arena_alloc(a, total);
    for (uint32_t i = 0; i < n; i++) {
        const struct tm_cell *part = &parts[i];
        uint32_t size = part_len(part);
        uint32_t wire = __builtin_bswap32(size);
        uint64_t number = int_key(part);

        memcpy(p, &wire, 4);
        memcpy(p + 4, is_number(part) ? (const char *)&number : part->p, size);
        p += 4 + size;
    }
    *len = total;
    return out;
}

static const char *key_bytes(const struct rows *r, struct arena *a,
                             const struct tm_cell *key, uint64_t *number,
                             uint32_t *len)
{
    uint32_t n = r->program->plan->n_key;

    if (n > 1) {
        return joined_key(a, key, n, len);
    }
    if (is_number(key)) {
        *len = 8;
        *number = int_key(key);
        return (const char *)number;
    }
    struct tm_cell part = part_of(a, key);
    *len = part_len(&part);
    return part.p;
}

static uint32_t row_of(struct rows *r, const struct tm_cell *key)
{
    uint64_t number = 0;
    uint32_t len = 0;
    int is_new = 0;
    const char *p = key_bytes(r, r->arena, key, &number, &len);
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

/* A key that Lua gives while it handles [event]; -1: none. */
static bool convert_keys(struct rows *r, const struct tm_cell *key,
                         int32_t event, struct tm_cell *cells, struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    struct convert_rules rules = rows_rules(r, event);

    for (uint32_t i = 0; i < p->n_key; i++) {
        const struct coltype *t = &p->columns[i].type;
        struct tm_cell in = key[i];

        rows_know_time(r, event, t, &in);
        if (!convert_cell(t, &in, &rules, &r->values, &cells[i], e)) {
            return err_wrap(e, "%s.%s: key", p->table, p->columns[i].name);
        }
    }
    return true;
}

static int64_t find(struct rows *r, const struct tm_cell *cells)
{
    uint64_t number = 0;
    uint32_t len = 0;
    const char *bytes = key_bytes(r, &r->values, cells, &number, &len);
    int64_t found = hash_get(&r->hash, bytes, len);

    return found < 0 ? TM_NO_ROW : found + r->first_row;
}

int64_t rows_find(struct rows *r, const struct tm_cell *key, struct err *e)
{
    struct tm_cell cells[PLAN_KEY_COLUMNS];

    return convert_keys(r, key, -1, cells, e) ? find(r, cells) : TM_NO_KEY;
}

/* What a key that is to stay must have, and memory that stays. */
static bool keep_keys(struct rows *r, struct tm_cell *cells, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    for (uint32_t i = 0; i < p->n_key; i++) {
        if (cells[i].tag == TM_MISSING || cells[i].tag == TM_NULL) {
            return err_set(e, ERR_DATA,
                           "%s.%s: a row is asked for without a "
                           "value for it",
                           p->table, p->columns[i].name);
        }
        if (cells[i].tag == TM_TEXT &&
            utf8_valid(cells[i].p, cells[i].len) != cells[i].len) {
            return err_set(e, ERR_DATA,
                           "%s.%s: the key that is asked for is not UTF-8",
                           p->table, p->columns[i].name);
        }
        if (!is_number(&cells[i]) && cells[i].tag != TM_DEC) {
            cells[i].p = arena_dup(r->arena, cells[i].p, part_len(&cells[i]));
        }
    }
    return true;
}

int64_t rows_ask(struct rows *r, const struct tm_cell *key, int32_t event,
                 struct err *e)
{
    struct tm_cell cells[PLAN_KEY_COLUMNS];
    int64_t row;

    if (!convert_keys(r, key, event, cells, e)) {
        return -1;
    }
    row = find(r, cells);
    if (row < 0 && r->program->plan->exact == EXACT_ALIGNED) {
        return ROWS_OF_OTHERS;
    }
    if (row < 0) {
        if (!keep_keys(r, cells, e)) {
            return -1;
        }
        if (r->view.n_rows == r->cap_rows) {
            rows_grow(r);
        }
        row = row_of(r, cells);
        r->order = NULL;
        r->row_event[row] = UINT32_MAX;
    }
    if (event >= 0) {
        r->row_event[row] = (uint32_t)event;
    }
    return row;
}

bool rows_entered(const struct rows *r, uint32_t row, uint32_t event)
{
    uint32_t low = 0, high = r->n_pairs;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (r->pair_event[middle] < event) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < r->n_pairs && r->pair_event[low] == event; low++) {
        if (r->pair_row[low] == row) {
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
    const char *p = key_bytes(r, r->loaded, cell, &number, &len);
    uint32_t at = hash_put(&r->hash, p, len, &is_new);

    if (is_new && p == (const char *)&number) {
        r->hash.keys[at].p = arena_dup(r->loaded, p, len);
    }
    return is_new;
}

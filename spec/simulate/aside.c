/* See aside.h. */
#include "aside.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "broker.h"

static struct lane_letters {
    struct row **rows; /* owned; by offset */
    uint32_t n, cap;
} all[PARTITIONS_MOST];

void aside_close(void)
{
    for (int i = 0; i < PARTITIONS_MOST; i++) {
        free(all[i].rows);
        all[i] = (struct lane_letters){0};
    }
}

struct row **aside_of(uint32_t partition, uint32_t *n)
{
    *n = all[partition].n;
    return all[partition].rows;
}

static struct row *row_of(uint32_t partition, int64_t offset)
{
    struct lane_letters *l = &all[partition];
    struct row *r = db_row(LETTERS, partition, offset, "");
    uint32_t i = l->n;

    while (i > 0 && l->rows[i - 1]->offset > offset) {
        i--;
    }
    if (i > 0 && l->rows[i - 1] == r) {
        return r;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->rows = mem_grow(l->rows, l->cap * sizeof(*l->rows));
    }
    memmove(l->rows + i + 1, l->rows + i, (l->n - i) * sizeof(*l->rows));
    l->rows[i] = r;
    l->n++;
    return r;
}

static bool is_same(const char *p, int len, const char *text, uint32_t n)
{
    return p && (uint32_t)len == n && memcmp(p, text, n) == 0;
}

/* The columns of the statement, from $3 on. */
enum put { TOPIC, PARTITION, OFFSET, STATE, HOLDS, KEY, VALUE, PUTS };

struct put_row {
    struct row *row;
    bool is_failed, holds;
};

static struct put_row read_put(struct elements *e)
{
    int len, key_len, value_len;
    bool is_null;
    uint32_t partition;
    int64_t offset;
    const char *state, *key, *value;
    const struct broker_record *r;
    struct put_row out;

    element_next(&e[TOPIC], &len);
    partition = (uint32_t)element_int(&e[PARTITION], &is_null);
    offset = element_int(&e[OFFSET], &is_null);
    state = element_next(&e[STATE], &len);
    out.is_failed = is_same(state, len, "failed", 6);
    out.holds = element_int(&e[HOLDS], &is_null) != 0;
    key = element_next(&e[KEY], &key_len);
    value = element_next(&e[VALUE], &value_len);
    r = broker_find(partition, offset);
    expect(r && is_same(key, key_len, r->key, r->key_len) &&
               is_same(value, value_len, r->value, r->value_len),
           "a dead letter of %u/%lld is not its record", partition,
           (long long)offset);
    out.row = row_of(partition, offset);
    return out;
}

static void read_puts(const struct call *c, struct elements e[PUTS])
{
    for (int i = 0; i < PUTS; i++) {
        e[i] = elements_of(c, 2 + i);
    }
}

struct pg_result *aside_put(struct tx *t, const struct call *c)
{
    struct elements e[PUTS];

    read_puts(c, e);
    for (uint32_t i = 0; i < e[OFFSET].n; i++) {
        if (!db_lock(t, read_put(e).row)) {
            return NULL;
        }
    }
    read_puts(c, e);
    for (uint32_t i = 0; i < e[TOPIC].n; i++) {
        struct put_row put = read_put(e);
        struct version *v = db_change(t, put.row);

        if (!v->exists) {
            v->exists = true;
            v->letter = (struct letter_value){0};
        }
        v->letter.is_failed = put.is_failed;
        v->letter.holds = put.holds;
        v->letter.is_wanted = false;
        v->letter.attempts += put.is_failed;
    }
    return must_hold(c, true, "");
}

struct pg_result *aside_end(struct tx *t, const struct call *c)
{
    uint32_t partition = (uint32_t)param_int(c, 2), n = 0;
    struct elements e = elements_of(c, 3);
    uint32_t n_all = e.n;
    bool is_null;

    for (uint32_t i = 0; i < n_all; i++) {
        if (!db_lock(t, row_of(partition, element_int(&e, &is_null)))) {
            return NULL;
        }
    }
    e = elements_of(c, 3);
    for (uint32_t i = 0; i < n_all; i++) {
        struct row *r = row_of(partition, element_int(&e, &is_null));

        if (db_see(t, r)) {
            db_change(t, r)->exists = false;
            n++;
        }
    }
    return must_hold(c, n == param_int(c, 4), "TM002");
}

static bool has_key(const struct row *r, const struct call *c, int at)
{
    const struct broker_record *rec = broker_find(r->partition, r->offset);
    struct elements e = elements_of(c, at);
    int len;

    for (uint32_t i = 0; i < e.n; i++) {
        const char *p = element_next(&e, &len);

        if (is_same(p, len, rec->key, rec->key_len)) {
            return true;
        }
    }
    return false;
}

struct pg_result *aside_rest(struct tx *t, const struct call *c)
{
    struct lane_letters *l = &all[param_int(c, 2)];

    for (int change = 0; change < 2; change++) {
        for (uint32_t i = 0; i < l->n; i++) {
            const struct version *v = db_see(t, l->rows[i]);

            if (!v || !v->letter.holds || !v->letter.is_wanted ||
                !has_key(l->rows[i], c, 3)) {
                continue;
            }
            if (!db_lock(t, l->rows[i])) {
                return NULL;
            }
            if (change && db_see(t, l->rows[i])) {
                db_change(t, l->rows[i])->letter.is_wanted = false;
            }
        }
    }
    return must_hold(c, true, "");
}

static void answer_keys(struct pg_result *out, const struct tx *t,
                        const struct lane_letters *l, uint32_t from)
{
    const struct broker_record *rec, *other;
    bool holds = db_see(t, l->rows[from])->letter.holds;
    int64_t n = 0;

    rec = broker_find(l->rows[from]->partition, l->rows[from]->offset);
    for (uint32_t k = 0; k < l->n; k++) {
        const struct version *v = db_see(t, l->rows[k]);

        if (!v || v->letter.holds != holds) {
            continue;
        }
        other = broker_find(l->rows[k]->partition, l->rows[k]->offset);
        if (holds && strcmp(other->key, rec->key) != 0) {
            continue;
        }
        if (k < from) {
            return; /* told before */
        }
        n++;
    }
    answer_text(out, topic_name);
    answer_int4(out, (int32_t)l->rows[from]->partition);
    (holds ? answer_text(out, rec->key) : answer_null(out));
    answer_int8(out, n);
    answer_int8(out, l->rows[from]->offset);
}

struct pg_result *aside_keys(const struct tx *t, const struct call *c)
{
    struct elements e = elements_of(c, 2);
    struct pg_result *out = answer_new(5);
    uint32_t n = e.n;
    bool is_null;

    while (n-- > 0) {
        struct lane_letters *l = &all[element_int(&e, &is_null)];

        for (uint32_t i = 0; i < l->n; i++) {
            if (db_see(t, l->rows[i])) {
                answer_keys(out, t, l, i);
            }
        }
    }
    return out;
}

struct pg_result *aside_wanted(const struct tx *t)
{
    struct pg_result *out = answer_new(2);

    for (uint32_t p = 0; p < n_partitions; p++) {
        for (uint32_t i = 0; i < all[p].n; i++) {
            const struct version *v = db_see(t, all[p].rows[i]);

            if (v && v->letter.is_wanted) {
                answer_text(out, topic_name);
                answer_int4(out, (int32_t)p);
                break;
            }
        }
    }
    return out;
}

/* Itself, or one of its key that holds. */
static bool is_wanted(const struct tx *t, const struct lane_letters *l,
                      const struct row *r)
{
    const struct version *v = db_see(t, r), *w;
    const char *key = broker_find(r->partition, r->offset)->key;

    if (!v || v->letter.is_wanted || !v->letter.holds) {
        return v && v->letter.is_wanted;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        w = db_see(t, l->rows[i]);
        if (w && w->letter.is_wanted && w->letter.holds &&
            strcmp(broker_find(r->partition, l->rows[i]->offset)->key, key) ==
                0) {
            return true;
        }
    }
    return false;
}

static void answer_letter(struct pg_result *out, const struct row *r)
{
    const struct broker_record *rec = broker_find(r->partition, r->offset);

    answer_int8(out, rec->offset);
    answer_text(out, rec->key);
    answer_text(out, rec->value);
    answer_null(out);
    answer_int8(out, rec->time_ms);
}

struct pg_result *aside_ask(struct tx *t, const struct call *c)
{
    struct lane_letters *l = &all[param_int(c, 2)];
    int64_t most = param_int(c, 3);
    struct pg_result *out;

    for (uint32_t i = 0; i < l->n; i++) {
        if (is_wanted(t, l, l->rows[i]) &&
            !db_see(t, l->rows[i])->letter.is_wanted &&
            !db_lock(t, l->rows[i])) {
            return NULL;
        }
    }
    out = answer_new(5);
    for (uint32_t i = 0; i < l->n; i++) {
        struct row *r = l->rows[i];

        if (!is_wanted(t, l, r)) {
            continue;
        }
        if (!db_see(t, r)->letter.is_wanted) {
            db_change(t, r)->letter.is_wanted = true;
        }
        if (most-- > 0) {
            answer_letter(out, r);
        }
    }
    return out;
}

/* The tables of the pipeline: see sql.h. */
#include "sql.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "faults.h"

const struct shown shown[TABLES] = {
    [CHAINS] = {"chains",
                1,
                4,
                {{"id", "text"},
                 {"n", "bigint"},
                 {"hash", "bigint"},
                 {"last", "bigint"}}},
    [LEDGER] = {"ledger",
                0,
                3,
                {{"lane", "bigint"}, {"seq", "bigint"}, {"v", "bigint"}}},
    [TOTALS] = {"totals",
                1,
                3,
                {{"owner", "text"}, {"n", "bigint"}, {"sum", "bigint"}}},
    [SUMS] = {"sums", 1, 2, {{"owner", "text"}, {"total", "bigint"}}},
};

/* ---- what a statement says ---- */

static int column_of(enum table t, const char *name, size_t len)
{
    for (int i = 0; i < shown[t].n_columns; i++) {
        if (strlen(shown[t].columns[i].name) == len &&
            memcmp(shown[t].columns[i].name, name, len) == 0) {
            return i;
        }
    }
    broken("there is no column %.*s of %s", (int)len, name, shown[t].name);
}

/* Quoted names from [p] up to [end] that stand behind [before]. */
static void parse_columns(struct statement *s, const char *p, const char *end,
                          const char *before)
{
    while ((p = strchr(p, '"')) && p < end) {
        const char *close = strchr(p + 1, '"');
        size_t n = strlen(before);

        if (strncmp(p - n, before, n) == 0) {
            must(s->n_columns < COLUMNS_MOST);
            s->columns[s->n_columns++] =
                column_of(s->table, p + 1, (size_t)(close - p - 1));
        }
        p = close + 1;
    }
}

static bool find_table(struct statement *s)
{
    for (s->table = CHAINS; s->table < TABLES; s->table++) {
        char name[64];

        snprintf(name, sizeof(name), "\"%s\" AS t", shown[s->table].name);
        if (strstr(s->sql, name)) {
            return true;
        }
    }
    return false;
}

static void put_keys(struct statement *s)
{
    for (int i = 0; i < shown[s->table].n_key; i++) {
        s->columns[s->n_columns++] = i;
    }
}

static void parse_insert(struct statement *s)
{
    const char *list = strstr(s->sql, " AS t (") + 6;

    s->kind = strstr(s->sql, "DO UPDATE SET") ? SQL_MERGE
              : strstr(s->sql, "ON CONFLICT") ? SQL_INSERT
                                              : SQL_APPEND;
    parse_columns(s, list, strchr(list, ')'), "");
}

bool table_parse(struct statement *s)
{
    if (!find_table(s)) {
        return false;
    }
    s->has_xmin = strstr(s->sql, "xid[]") != NULL;
    if (strncmp(s->sql, "SELECT u.o", 10) == 0) {
        s->kind = SQL_LOAD;
        s->has_xmin = strstr(s->sql, ", t.xmin") != NULL;
        parse_columns(s, s->sql, strstr(s->sql, " FROM "), "t.");
    } else if (strstr(s->sql, "(UPDATE ")) {
        const char *set = strstr(s->sql, " SET ") + 4;

        s->kind = SQL_UPDATE;
        put_keys(s);
        parse_columns(s, set, strstr(set, " FROM "), " ");
    } else if (strstr(s->sql, "DELETE FROM ")) {
        s->kind = SQL_DELETE;
        put_keys(s);
    } else if (strstr(s->sql, "INSERT INTO ")) {
        parse_insert(s);
    } else {
        s->kind = SQL_VERIFY;
        put_keys(s);
    }
    return true;
}

/* ---- doing it ---- */

/* One row of the parameters. */
struct given {
    char key[KEY_MOST];
    struct row_value value;
    uint32_t xmin;
};

struct given_rows {
    const struct statement *s;
    struct elements columns[COLUMNS_MOST], xmins;
    uint32_t n;
};

static struct given_rows rows_of(const struct call *c)
{
    const struct statement *s = c->s;
    struct given_rows all = {.s = s};
    int n = s->kind == SQL_LOAD ? shown[s->table].n_key : s->n_columns;

    for (int i = 0; i < n; i++) {
        all.columns[i] = elements_of(c, i);
    }
    all.n = all.columns[0].n;
    if (s->has_xmin && s->kind != SQL_LOAD) {
        all.xmins = elements_of(c, n);
    }
    return all;
}

static void take_key(struct elements *e, char key[KEY_MOST])
{
    int len;
    const char *p = element_next(e, &len);

    must(p && len < KEY_MOST);
    memcpy(key, p, (size_t)len);
    key[len] = '\0';
}

/* Values stand where the table has their columns; those that are not given are
 * NULL. */
static struct given take(struct given_rows *all)
{
    const struct statement *s = all->s;
    int n_key = shown[s->table].n_key;
    int n = s->kind == SQL_LOAD ? n_key : s->n_columns;
    struct given g = {.xmin = 0};
    bool is_null;

    for (int i = 0; i < VALUES_MOST; i++) {
        g.value.is_null[i] = true;
    }
    for (int i = 0; i < n; i++) {
        int at = s->kind == SQL_LOAD ? i : s->columns[i];

        if (at < n_key) {
            take_key(&all->columns[i], g.key);
        } else {
            g.value.of[at - n_key] = element_int(&all->columns[i], &is_null);
            g.value.is_null[at - n_key] = is_null;
        }
    }
    if (all->xmins.next) {
        g.xmin = (uint32_t)element_int(&all->xmins, &is_null);
    }
    return g;
}

static struct row *row_of(const struct statement *s, const struct given *g)
{
    return s->table == LEDGER
               ? db_row(LEDGER, (uint32_t)g->value.of[0], g->value.of[1], "")
               : db_row(s->table, 0, 0, g->key);
}

/* The rows that it is going to change are locked first; false: it waits. A row
 * that is not there is locked too where it is to be made. *is_stale: REPEATABLE
 * READ, and one changed since. */
static bool lock_all(struct tx *t, const struct call *c, bool makes,
                     bool *is_stale)
{
    struct given_rows all = rows_of(c);

    *is_stale = false;
    for (uint32_t i = 0; i < all.n; i++) {
        struct given g = take(&all);
        struct row *r = row_of(c->s, &g);

        if (!makes && !r->holder && !db_see(t, r)) {
            continue;
        }
        if (!db_lock(t, r)) {
            return false;
        }
        *is_stale |= db_is_stale(t, r);
    }
    return true;
}

static struct pg_result *load(struct tx *t, const struct call *c)
{
    const struct statement *s = c->s;
    struct given_rows all = rows_of(c);
    int n_key = shown[s->table].n_key;
    struct pg_result *out;
    bool is_stale = false;

    if (s->locks && !lock_all(t, c, false, &is_stale)) {
        return NULL;
    }
    if (is_stale) {
        return answer_stale();
    }
    out = answer_new(1 + s->has_xmin + s->n_columns);
    for (uint32_t i = 0; i < all.n; i++) {
        struct given g = take(&all);
        const struct version *v = db_see(t, row_of(s, &g));

        if (!v) {
            continue;
        }
        answer_int8(out, i + 1);
        if (s->has_xmin) {
            answer_xid(out, v->xmin);
        }
        for (int k = 0; k < s->n_columns; k++) {
            int at = s->columns[k] - n_key;

            (v->row.is_null[at] ? answer_null(out)
                                : answer_int8(out, v->row.of[at]));
        }
    }
    return out;
}

/* A row of an aligned table has one writer, whose claim the same transaction has
 * just held against the lane: it knows the row, unless a person changed it. */
static bool known(const struct tx *t, const struct row *r, bool ok)
{
    expect(ok || r->table != CHAINS || r->is_edited ||
               !session_life(t->session),
           "a worker does not know chain %s as it stands, and nobody else has "
           "changed it",
           r->key);
    return ok;
}

/* Of update, delete and verify: the row is there as it is known. */
static bool matches(const struct statement *s, const struct tx *t,
                    const struct row *r, const struct given *g)
{
    const struct version *v = db_see(t, r);

    return known(t, r, v && (!s->by_xmin || v->xmin == g->xmin));
}

static void set_columns(const struct statement *s, struct version *v,
                        const struct given *g)
{
    for (int i = 0; i < s->n_columns; i++) {
        int at = s->columns[i] - shown[s->table].n_key;

        if (at >= 0) {
            v->row.of[at] = g->value.of[at];
            v->row.is_null[at] = g->value.is_null[at];
        }
    }
}

static void make(const struct statement *s, struct tx *t, struct row *r,
                 const struct given *g)
{
    struct version *v = db_change(t, r);

    v->exists = true;
    v->row = g->value;
    if (s->table == LEDGER) {
        v->row.of[VALUES_MOST - 1] = 1; /* so many of them */
    }
}

static void merge(const struct statement *s, struct tx *t, struct row *r,
                  const struct given *g)
{
    if (db_see(t, r)) {
        db_change(t, r)->row.of[0] += g->value.of[0];
    } else {
        make(s, t, r, g);
    }
}

static bool change(const struct statement *s, struct tx *t, struct row *r,
                   const struct given *g)
{
    bool is_there = db_see(t, r) != NULL;

    switch (s->kind) {
    case SQL_UPDATE:
        if (!matches(s, t, r, g)) {
            return false;
        }
        set_columns(s, db_change(t, r), g);
        return true;
    case SQL_DELETE:
        if (!matches(s, t, r, g)) {
            return false;
        }
        db_change(t, r)->exists = false;
        return true;
    case SQL_MERGE:
        merge(s, t, r, g);
        return true;
    case SQL_APPEND:
        if (is_there) {
            db_change(t, r)->row.of[VALUES_MOST - 1]++;
            return true;
        }
        make(s, t, r, g);
        return true;
    default:
        if (!is_there) {
            make(s, t, r, g);
        }
        return known(t, r, !is_there);
    }
}

static struct pg_result *refused(const struct call *c)
{
    struct given_rows all = rows_of(c);
    struct pg_result *r = NULL;

    for (uint32_t i = 0; c->s->table == LEDGER && i < all.n && !r; i++) {
        r = faults_of_value(take(&all).value.of[2]);
    }
    return r;
}

static struct pg_result *write_all(struct tx *t, const struct call *c)
{
    const struct statement *s = c->s;
    bool makes = s->kind != SQL_UPDATE && s->kind != SQL_DELETE;
    struct given_rows all = rows_of(c);
    struct pg_result *r = refused(c);
    bool is_stale;
    uint32_t n = 0;

    if (r) {
        return r;
    }
    if (!lock_all(t, c, makes, &is_stale)) {
        return NULL;
    }
    if (is_stale) {
        return answer_stale();
    }
    for (uint32_t i = 0; i < all.n; i++) {
        struct given g = take(&all);

        n += change(s, t, row_of(s, &g), &g);
    }
    return s->kind == SQL_MERGE || s->kind == SQL_APPEND
               ? answer_new(1)
               : must_hold(c, n == param_int(c, c->n_params - 1), "TM002");
}

static struct pg_result *verify(struct tx *t, const struct call *c)
{
    struct given_rows all = rows_of(c);
    uint32_t n = 0;

    for (uint32_t i = 0; i < all.n; i++) {
        struct given g = take(&all);

        n += matches(c->s, t, row_of(c->s, &g), &g);
    }
    return must_hold(c, n == param_int(c, c->n_params - 1), "TM002");
}

struct pg_result *table_run(struct tx *t, const struct call *c)
{
    return c->s->kind == SQL_LOAD     ? load(t, c)
           : c->s->kind == SQL_VERIFY ? verify(t, c)
                                      : write_all(t, c);
}

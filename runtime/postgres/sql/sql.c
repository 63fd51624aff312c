/*
 * SQL texts of a projection's statements. In all of them t is the table, u
 * the unnested parameters, and u's columns are called c0, c1, ... by their
 * number in the plan, so that no name of the user's can collide with ours.
 *
 * Joins are written so that u drives an index lookup in t (sessions have
 * sequential scans, hash and merge joins off).
 */
#include "postgres/sql/sql.h"

#include "base/err.h"
#include "model/columns.h"
#include "postgres/sql/sql_text.h"

/* Key columns are always in. */
static bool is_in(const struct plan_projection *p, const uint64_t *mask,
                  uint32_t i)
{
    return i < p->n_key || columns_has(mask, i);
}

static uint32_t count_in(const struct plan_projection *p, const uint64_t *mask)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_columns; i++) {
        n += is_in(p, mask, i);
    }
    return n;
}

/* The next column of the statement at or behind [i]; n_columns: no more. */
static uint32_t next_in(const struct plan_projection *p, const uint64_t *mask,
                        uint32_t i)
{
    while (i < p->n_columns && !is_in(p, mask, i)) {
        i++;
    }
    return i;
}

static bool is_array(const struct plan_column *c)
{
    return c->type.kind == TYPE_TEXT_ARRAY || c->type.kind == TYPE_BIGINT_ARRAY;
}

static void put_table(struct buf *b, const struct table_facts *f,
                      const struct plan_projection *p)
{
    sql_put_table(b, f ? f->schema : NULL, &p->name);
}

/* NULL: it is of a type that Tidemill knows. */
static const struct column_cast *cast_of(const struct table_facts *f,
                                         uint32_t i)
{
    return f && f->casts && f->casts[i].to ? &f->casts[i] : NULL;
}

/* u's value of column [i], as the table's column wants it. Only what travels
 * as other text is cast, and to a type without its length: a cast to varchar(n)
 * would cut silently, which the assignment behind it does not. */
static void put_value(struct buf *b, const struct table_facts *f,
                      const struct plan_projection *p, uint32_t i)
{
    const struct plan_column *c = &p->columns[i];
    const struct column_cast *cast = cast_of(f, i);
    buf_printf(b, "u.c%u", i);
    if (cast) {
        buf_printf(b, "::%s", cast->to);
    } else if (is_array(c)) {
        buf_puts(b,
                 c->type.kind == TYPE_TEXT_ARRAY ? "::text[]" : "::bigint[]");
    }
}

/* What u has beside the columns. */
enum extra {
    EXTRA_NONE,
    EXTRA_ORDER, /* o: ordinality, from 1 */
    EXTRA_XMIN   /* x: the xmin that each row was loaded with */
};

static void put_unnest_arrays(struct buf *b, const struct plan_projection *p,
                              const uint64_t *mask, enum extra extra)
{
    uint32_t n = 0;
    for (uint32_t i = next_in(p, mask, 0); i < p->n_columns;
         i = next_in(p, mask, i + 1)) {
        buf_printf(b, "%s$%u::%s[]", n ? ", " : "", n + 1,
                   type_wire_name(&p->columns[i].type));
        n++;
    }
    must(n > 0);
    if (extra == EXTRA_XMIN) {
        buf_printf(b, ", $%u::xid[]", n + 1);
    }
}

/* unnest($1::uuid[], ...) [WITH ORDINALITY] AS u(c0, ...[, o or x]) */
static void put_unnest(struct buf *b, const struct plan_projection *p,
                       const uint64_t *mask, enum extra extra)
{
    const char *comma = "";
    buf_puts(b, "unnest(");
    put_unnest_arrays(b, p, mask, extra);
    buf_puts(b, extra == EXTRA_ORDER ? ") WITH ORDINALITY AS u(" : ") AS u(");
    for (uint32_t i = next_in(p, mask, 0); i < p->n_columns;
         i = next_in(p, mask, i + 1)) {
        buf_printf(b, "%sc%u", comma, i);
        comma = ", ";
    }
    buf_puts(b, extra == EXTRA_ORDER  ? ", o)"
                : extra == EXTRA_XMIN ? ", x)"
                                      : ")");
}

/* t."id" = u.c0 AND ... */
static void put_match(struct buf *b, const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_key; i++) {
        buf_puts(b, i ? " AND t." : "t.");
        sql_quote(b, p->columns[i].name);
        buf_printf(b, " = u.c%u", i);
    }
}

/* "id", "owner", ... */
static void put_names(struct buf *b, const struct plan_projection *p,
                      const uint64_t *mask)
{
    const char *comma = "";
    for (uint32_t i = next_in(p, mask, 0); i < p->n_columns;
         i = next_in(p, mask, i + 1)) {
        buf_puts(b, comma);
        sql_quote(b, p->columns[i].name);
        comma = ", ";
    }
}

/* INSERT INTO t (...) SELECT ... FROM unnest(...). OVERRIDING is for columns that
 * are GENERATED ALWAYS AS IDENTITY, and says nothing of others. */
static void put_insert(struct buf *b, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask)
{
    const char *comma = "";
    buf_puts(b, "INSERT INTO ");
    put_table(b, f, p);
    buf_puts(b, " AS t (");
    put_names(b, p, mask);
    buf_puts(b, ") OVERRIDING SYSTEM VALUE SELECT ");
    for (uint32_t i = next_in(p, mask, 0); i < p->n_columns;
         i = next_in(p, mask, i + 1)) {
        buf_puts(b, comma);
        put_value(b, f, p, i);
        comma = ", ";
    }
    buf_puts(b, " FROM ");
    put_unnest(b, p, mask, EXTRA_NONE);
}

static void put_on_conflict(struct buf *b, const struct plan_projection *p)
{
    buf_puts(b, " ON CONFLICT (");
    sql_identity(b, p);
    buf_puts(b, ") DO ");
}

/* Raises TM002 unless the rows of w are as many as parameter [n] says. */
static void put_counted(struct buf *b, uint32_t n)
{
    buf_printf(b,
               " RETURNING 1) SELECT tidemill.must((SELECT count(*) FROM w)"
               " = $%u, 'TM002')",
               n);
}

static const char *finish(struct arena *a, struct buf *b)
{
    const char *text = arena_dup(a, b->data, b->len);
    buf_close(b);
    return text;
}

/* As what a value is read. */
static void put_back(struct buf *b, const struct table_facts *f,
                     const struct plan_projection *p, uint32_t i)
{
    const struct column_cast *cast = cast_of(f, i);

    if (cast) {
        buf_printf(b, "::%s", cast->back);
    } else if (is_array(&p->columns[i])) {
        buf_puts(b, "::text");
    }
}

const char *sql_load(struct arena *a, const struct table_facts *f,
                     const struct plan_projection *p, bool is_locked)
{
    struct buf b = {0};
    buf_puts(&b, "SELECT u.o");
    if (p->exact == EXACT_ALIGNED) {
        buf_puts(&b, ", t.xmin");
    }
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        buf_puts(&b, ", t.");
        sql_quote(&b, p->columns[i].name);
        put_back(&b, f, p, i);
    }
    buf_puts(&b, " FROM ");
    put_unnest(&b, p, NULL, EXTRA_ORDER);
    buf_puts(&b, " JOIN ");
    put_table(&b, f, p);
    buf_puts(&b, " AS t ON ");
    put_match(&b, p);
    if (is_locked || p->exact == EXACT_SHARED) {
        buf_puts(&b, " ORDER BY u.o FOR NO KEY UPDATE OF t");
    }
    return finish(a, &b);
}

/* "a" = u.c1, ...; where nothing is set, a column to what it is: no key, which
 * may be an identity that no UPDATE may set. */
static void put_set(struct buf *b, const struct table_facts *f,
                    const struct plan_projection *p, const uint64_t *mask)
{
    uint32_t first = next_in(p, mask, p->n_key);
    for (uint32_t i = first; i < p->n_columns; i = next_in(p, mask, i + 1)) {
        buf_puts(b, i > first ? ", " : "");
        sql_quote(b, p->columns[i].name);
        buf_puts(b, " = ");
        put_value(b, f, p, i);
    }
    if (first == p->n_columns) {
        must(p->n_key < p->n_columns);
        sql_quote(b, p->columns[p->n_key].name);
        buf_puts(b, " = t.");
        sql_quote(b, p->columns[p->n_key].name);
    }
}

/* Texts in the order in which a batch compares them; the table's own would
 * make rows depend on how events are cut into batches. */
static const char *order_of(const struct plan_column *c)
{
    return c->type.kind == TYPE_TEXT || c->type.kind == TYPE_VARCHAR
               ? " COLLATE \"C\""
               : "";
}

/* t."v" < <now> OR t."v" IS NULL; [now] is followed by the column's name, or
 * NULL: u's value. */
static void put_newer(struct buf *b, const struct plan_projection *p,
                      const char *now)
{
    const struct plan_column *c = &p->columns[p->newer];
    buf_puts(b, "t.");
    sql_quote(b, c->name);
    buf_puts(b, order_of(c));
    buf_puts(b, " < ");
    if (now) {
        buf_puts(b, now);
        sql_quote(b, c->name);
    } else {
        buf_printf(b, "u.c%d", p->newer);
    }
    buf_puts(b, " OR t.");
    sql_quote(b, c->name);
    buf_puts(b, " IS NULL");
}

/* With `newer` a row that is there may be left as it is, so not what is changed
 * is counted but what is there. */
static void put_there(struct buf *b, const struct table_facts *f,
                      const struct plan_projection *p, uint32_t n)
{
    buf_puts(b, ") SELECT tidemill.must((SELECT count(*) FROM ");
    put_unnest(b, p, NULL, EXTRA_NONE);
    buf_puts(b, " JOIN ");
    put_table(b, f, p);
    buf_puts(b, " AS t ON ");
    put_match(b, p);
    buf_printf(b, ") = $%u, 'TM002')", n);
}

const char *sql_update(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask)
{
    bool is_aligned = p->exact == EXACT_ALIGNED;
    struct buf b = {0};
    buf_puts(&b, "WITH w AS (UPDATE ");
    put_table(&b, f, p);
    buf_puts(&b, " AS t SET ");
    put_set(&b, f, p, mask);
    buf_puts(&b, " FROM ");
    put_unnest(&b, p, mask, is_aligned ? EXTRA_XMIN : EXTRA_NONE);
    buf_puts(&b, " WHERE ");
    put_match(&b, p);
    buf_puts(&b, is_aligned ? " AND t.xmin = u.x" : "");
    if (p->newer >= 0) {
        buf_puts(&b, " AND (");
        put_newer(&b, p, NULL);
        buf_puts(&b, ")");
        put_there(&b, f, p, count_in(p, mask) + 1);
        return finish(a, &b);
    }
    put_counted(&b, count_in(p, mask) + is_aligned + 1);
    return finish(a, &b);
}

static void put_overwrite(struct buf *b, const struct plan_column *c)
{
    sql_quote(b, c->name);
    buf_puts(b, " = EXCLUDED.");
    sql_quote(b, c->name);
}

/* UPDATE SET ... for each column of the mask, or NOTHING without any. */
static void
put_on_conflict_update(struct buf *b, const struct plan_projection *p,
                       const uint64_t *mask,
                       void (*put)(struct buf *, const struct plan_column *))
{
    uint32_t first = next_in(p, mask, p->n_key);
    put_on_conflict(b, p);
    buf_puts(b, first < p->n_columns ? "UPDATE SET " : "NOTHING");
    for (uint32_t i = first; i < p->n_columns; i = next_in(p, mask, i + 1)) {
        buf_puts(b, i > first ? ", " : "");
        put(b, &p->columns[i]);
    }
}

/* Whoever made the row: as long as no column of ours has a value, nothing of ours
 * is there, as it was when it was loaded. */
static void put_part(struct buf *b, const struct plan_projection *p,
                     const uint64_t *mask)
{
    put_on_conflict_update(b, p, mask, put_overwrite);
    buf_puts(b, " WHERE ROW(");
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        buf_puts(b, i > p->n_key ? ", t." : "t.");
        sql_quote(b, p->columns[i].name);
    }
    buf_puts(b, ") IS NULL");
}

const char *sql_insert(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask)
{
    struct buf b = {0};
    buf_puts(&b, "WITH w AS (");
    put_insert(&b, f, p, mask);
    if (p->is_part) {
        put_part(&b, p, mask);
    } else {
        put_on_conflict(&b, p);
        buf_puts(&b, "NOTHING");
    }
    put_counted(&b, count_in(p, mask) + 1);
    return finish(a, &b);
}

/* coalesce(t + new, t, new): what no event contributed to stays NULL, so that
 * every split into batches gives the same row. */
static void put_merged(struct buf *b, const struct plan_column *c)
{
    static const char *const forms[PLAN_MERGES] = {
        [MERGE_SUM] = " = coalesce(t.%s + EXCLUDED.%s, t.%s, EXCLUDED.%s)",
        [MERGE_MIN] = " = least(t.%s%o, EXCLUDED.%s)",
        [MERGE_MAX] = " = greatest(t.%s%o, EXCLUDED.%s)",
    };
    must(c->merge != MERGE_NONE);
    sql_quote(b, c->name);
    for (const char *f = forms[c->merge]; *f; f++) {
        if (f[0] == '%' && f[1] == 's') {
            sql_quote(b, c->name);
            f++;
        } else if (f[0] == '%' && f[1] == 'o') {
            buf_puts(b, order_of(c));
            f++;
        } else {
            buf_put(b, f, 1);
        }
    }
}

const char *sql_upsert(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask)
{
    struct buf b = {0};
    put_insert(&b, f, p, mask);
    put_on_conflict_update(&b, p, mask, put_overwrite);
    bool has_set = next_in(p, mask, p->n_key) < p->n_columns;
    if (p->newer >= 0 && has_set) {
        buf_puts(&b, " WHERE ");
        put_newer(&b, p, "EXCLUDED.");
    }
    return finish(a, &b);
}

const char *sql_delete(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p)
{
    bool is_counted = p->kind == KIND_FOLD;
    bool is_aligned = is_counted && p->exact == EXACT_ALIGNED;
    uint64_t version[PLAN_COLUMN_WORDS] = {0};
    struct buf b = {0};
    if (p->newer_deletes) {
        columns_add(version, (uint32_t)p->newer);
    }
    buf_puts(&b, is_counted ? "WITH w AS (" : "");
    buf_puts(&b, "DELETE FROM ");
    put_table(&b, f, p);
    buf_puts(&b, " AS t USING ");
    put_unnest(&b, p, version, is_aligned ? EXTRA_XMIN : EXTRA_NONE);
    buf_puts(&b, " WHERE ");
    put_match(&b, p);
    buf_puts(&b, is_aligned ? " AND t.xmin = u.x" : "");
    if (p->newer_deletes) {
        buf_puts(&b, " AND (");
        put_newer(&b, p, NULL);
        buf_printf(&b, " OR u.c%d IS NULL)", p->newer);
    }
    if (is_counted) {
        put_counted(&b, p->n_key + is_aligned + 1);
    }
    return finish(a, &b);
}

const char *sql_verify(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p)
{
    struct buf b = {0};
    buf_puts(&b, "SELECT tidemill.must((SELECT count(*) FROM ");
    put_unnest(&b, p, NULL, EXTRA_XMIN);
    buf_puts(&b, " JOIN ");
    put_table(&b, f, p);
    buf_puts(&b, " AS t ON ");
    put_match(&b, p);
    buf_printf(&b, " AND t.xmin = u.x) = $%u, 'TM002')", p->n_key + 2);
    return finish(a, &b);
}

const char *sql_merge(struct arena *a, const struct table_facts *f,
                      const struct plan_projection *p, const uint64_t *mask)
{
    struct buf b = {0};
    put_insert(&b, f, p, mask);
    put_on_conflict_update(&b, p, mask, put_merged);
    return finish(a, &b);
}

/* Rows of no columns cannot be unnested, and DEFAULT VALUES makes but one: they
 * are refused in the server, as what their record brought. */
const char *sql_append(struct arena *a, const struct table_facts *f,
                       const struct plan_projection *p, const uint64_t *mask)
{
    struct buf b = {0};
    if (p->n_columns == 0) { /* all of a row is the table's to say */
        buf_puts(&b, "INSERT INTO ");
        put_table(&b, f, p);
        buf_puts(&b, " SELECT FROM generate_series(1, $1)");
        return finish(a, &b);
    }
    if (count_in(p, mask) == 0) {
        return "SELECT tidemill.must(false, '22004')";
    }
    if (p->once < 0) {
        put_insert(&b, f, p, mask);
        return finish(a, &b);
    }
    buf_puts(&b, "WITH w AS (");
    put_insert(&b, f, p, mask);
    put_on_conflict(&b, p);
    buf_puts(&b, "NOTHING RETURNING 1) SELECT count(*) FROM w");
    return finish(a, &b);
}

const char *sql_empty(struct arena *a, const struct table_facts *f,
                      const struct plan_projection *p)
{
    struct buf b = {0};
    buf_puts(&b, "TRUNCATE TABLE ");
    put_table(&b, f, p);
    return finish(a, &b);
}

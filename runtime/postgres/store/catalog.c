/*
 * Compares what pg_catalog answered with the plan, and says line by line what
 * does not fit and what to do about it.
 */
#include "postgres/store/catalog.h"

#include <string.h>

#include "postgres/sql/sql.h"
#include "postgres/sql/sql_text.h"
#include "postgres/store/catalog_part.h"
#include "postgres/store/rights.h"

enum { LEAST_VERSION = 130000 };

static void check_server(struct catalog_report *r, const struct pg_result *s)
{
    int len;
    if (pg_int(s, 0, SERVER_VERSION) < LEAST_VERSION) {
        buf_printf(report_problem(r),
                   "PostgreSQL is %s: 13 or later is needed\n",
                   pg_str(s, 0, SERVER_VERSION_TEXT));
    }
    if (r->server == CATALOG_PRIMARY && pg_int(s, 0, SERVER_READ_ONLY)) {
        buf_puts(report_problem(r),
                 "the server is a standby or read-only: write to the "
                 "primary (several hosts: target_session_attrs=read-write)\n");
    }
    if (!pg_value(s, 0, SERVER_USAGE, &len)) {
        struct buf *b = report_problem(r);
        buf_puts(b, "there is no schema tidemill: ");
        report_schema_hint(r, b);
        report_mend_own(r);
    } else if (!pg_int(s, 0, SERVER_USAGE)) {
        struct buf *b = report_problem(r);
        buf_printf(b, "role %s may not use schema tidemill: ", r->user);
        report_grant(r, "USAGE", "SCHEMA tidemill");
        if (r->sql) { /* what else it may not do cannot be asked */
            rights_grant_own(r->sql, r->user);
        }
    } else {
        report_own(r, s);
    }
}

/* An append that leaves repeated events out. */
static bool is_once(const struct plan_projection *p)
{
    return p->kind == KIND_APPEND && p->once >= 0;
}

static const struct plan_column *once_column(const struct plan_projection *p)
{
    return is_once(p) ? &p->columns[p->once] : NULL;
}

/* PostgreSQL refuses TRUNCATE then, whether there are such rows or not. */
static void check_emptied(struct catalog_report *r, const struct pg_result *t)
{
    int len;
    if (r->p->empties && pg_value(t, 0, TABLE_REFERRER, &len)) {
        buf_printf(report_problem(r),
                   "truncate = 'apply' cannot empty it, since table %s refers "
                   "to it by a foreign key: drop that constraint, or write "
                   "truncate = 'halt'\n",
                   pg_str(t, 0, TABLE_REFERRER));
    }
}

/* What several projections of one table have in common is told of the first. */
static bool is_told(const struct catalog_report *r)
{
    return r->p->part_of >= 0;
}

static void report_missing(struct catalog_report *r,
                           const struct plan_column *c)
{
    struct buf *b = report_problem(r);

    buf_printf(b, "there is no column %s: ", c->name);
    size_t from = b->len;
    buf_puts(b, "ALTER TABLE ");
    sql_quote_table(b, &r->p->name);
    buf_puts(b, " ADD COLUMN ");
    sql_quote(b, c->name);
    buf_puts(b, " ");
    sql_type_word(b, &c->type);
    buf_puts(b, ";\n");
    report_mends(r, from, NULL);
    r->has_new = true;
}

static void compare_column(struct catalog_report *r,
                           const struct plan_column *c,
                           const struct pg_result *columns, int i)
{
    if (i < 0) {
        report_missing(r, c);
        return;
    }
    report_type(r, c, columns, i);
    report_made(r, c, pg_str(columns, i, COLUMN_MADE)[0]);
    report_part(r, c, columns, i);
    if ((c->is_key || c == once_column(r->p)) &&
        !pg_int(columns, i, COLUMN_DETERMINISTIC)) {
        buf_printf(report_problem(r),
                   "key column %s has a nondeterministic collation, by which "
                   "different keys are equal: give it another\n",
                   c->name);
    }
}

/* A key is never cast, so there is no such fact of one that was told. */
static void check_column(struct catalog_report *r, const struct plan_column *c,
                         const struct pg_result *columns)
{
    int i = report_column(columns, c->name);

    if (!c->is_key || !is_told(r)) {
        compare_column(r, c, columns, i);
    }
    if (i >= 0) {
        facts_set_given(r->facts, (uint32_t)(c - r->p->columns),
                        pg_int(columns, i, COLUMN_NOT_NULL) &&
                            !pg_int(columns, i, COLUMN_HAS_DEFAULT));
    }
}

/* What the other parts of a table name is their report's. */
static bool is_declared_by_any(const struct catalog_report *r, const char *name)
{
    struct catalog_report other = *r;
    bool is = report_is_declared(r, name);

    for (uint32_t i = 0; r->p->is_part && i < r->plan->n_projections; i++) {
        const struct plan_projection *p = &r->plan->projections[i];

        other.p = p;
        is |= strcmp(p->name.table, r->p->name.table) == 0 &&
              strcmp(p->name.schema, r->p->name.schema) == 0 &&
              report_is_declared(&other, name);
    }
    return is;
}

/* Columns of the table that no row of ours would fill. */
static void check_others(struct catalog_report *r,
                         const struct pg_result *columns)
{
    for (int i = 0; i < pg_rows(columns); i++) {
        const char *name = pg_str(columns, i, COLUMN_NAME);
        if (pg_int(columns, i, COLUMN_NOT_NULL) &&
            !pg_int(columns, i, COLUMN_HAS_DEFAULT) &&
            !is_declared_by_any(r, name)) {
            buf_printf(report_problem(r),
                       "column %s is NOT NULL without a default, and the "
                       "projection does not name it: name it, or give it a "
                       "default\n",
                       name);
            report_mend_not_null(r, name);
        }
    }
}

static void check_indexes(struct catalog_report *r,
                          const struct pg_result *indexes)
{
    bool has_key = false;
    for (int i = 0; i < pg_rows(indexes); i++) {
        if (pg_int(indexes, i, INDEX_IS_KEY)) {
            has_key = true;
        } else if (pg_int(indexes, i, INDEX_MAY_BREAK) &&
                   r->p->kind != KIND_APPEND) {
            buf_printf(report_begin(r, true),
                       "unique index %s is not the key's: two rows of a "
                       "batch that exchange values break it; a UNIQUE "
                       "constraint that is DEFERRABLE does not\n",
                       pg_str(indexes, i, INDEX_NAME));
        }
    }
    if ((r->p->n_key || is_once(r->p)) && !has_key && !is_told(r)) {
        struct buf *b = report_problem(r);
        buf_printf(b,
                   "%s no valid unique index of %s own (neither partial nor "
                   "deferrable): ",
                   is_once(r->p) ? "the column of `once` has"
                                 : "its key columns have",
                   is_once(r->p) ? "its" : "their");
        report_index_sql(r, b);
    }
}

static const char *kind_of(char relkind)
{
    return relkind == 'v'   ? "a view"
           : relkind == 'm' ? "a materialized view"
           : relkind == 'f' ? "a foreign table, whose server commits by itself"
                            : "not a table";
}

/* A foreign table is there on purpose, and no SQL of `schema` would change it. */
static struct buf *report_kind(struct catalog_report *r, char kind)
{
    return report_begin(r, kind == 'f' && r->server == CATALOG_OWNER);
}

/* Rows and positions must be there together, or not at all. */
static void check_parts(struct catalog_report *r, const struct pg_result *t)
{
    const char *part = pg_str(t, 0, TABLE_PART);
    char kind = pg_str(t, 0, TABLE_PART_KIND)[0];
    struct buf *b;

    if (!kind || (kind == 'u' && r->p->unlogged)) {
        return;
    }
    b = report_kind(r, kind);
    if (strcmp(pg_str(t, 0, TABLE_SELF), part) == 0) {
        buf_puts(b, "it is ");
    } else {
        buf_printf(b, "its part %s is ", part);
    }
    if (kind == 'u') {
        buf_printf(b,
                   "UNLOGGED, so that a crash of the server empties it and "
                   "leaves the positions: ALTER TABLE %s SET LOGGED; or, if "
                   "its rows may be lost, write unlogged = true\n",
                   part);
        report_mend_unlogged(r, part);
    } else if (kind == 't') {
        buf_puts(b, "temporary, so that it ends with somebody's session: name "
                    "a table that stays\n");
    } else {
        buf_puts(b, "a foreign table, whose server commits by itself, so that "
                    "a crash between loses or repeats events: detach it\n");
    }
}

/* A name without a schema means one table as long as a run lasts: rows of it are
 * in that one. */
static bool check_same(struct catalog_report *r, const struct pg_result *t)
{
    const char *found = pg_str(t, 0, TABLE_SCHEMA);
    const struct table_facts *known = r->facts;

    if (known->schema && strcmp(known->schema, found) != 0 &&
        known->oid != (uint32_t)pg_int(t, 0, TABLE_OID)) {
        struct buf *b = report_problem(r);

        buf_printf(b,
                   "the search path of role %s leads to the one of schema %s "
                   "now, and this run writes the one of schema %s: write ",
                   r->user, found, known->schema);
        sql_put_written(b, known->schema, &r->p->name);
        buf_puts(b, ", or start the run again if the other one is meant\n");
        return false;
    }
    return true;
}

static void warn_of_other(struct catalog_report *r, const struct pg_result *t)
{
    const char *other = pg_str(t, 0, TABLE_OTHER);
    const char *found = pg_str(t, 0, TABLE_SCHEMA);

    if (other[0]) {
        struct buf *b = report_begin(r, true);

        buf_printf(b,
                   "the search path of role %s has it in schema %s, which is "
                   "taken, and in schema %s: write ",
                   r->user, found, other);
        sql_put_written(b, found, &r->p->name);
        buf_puts(b, ", so that it stays the one that is meant\n");
    }
}

static bool check_table(struct catalog_report *r, const struct pg_result *t)
{
    if (pg_rows(t) == 0) {
        struct buf *b = report_problem(r);
        buf_puts(b, "there is no such table: ");
        if (r->p->part_of < 0) {
            report_table_sql(r, b);
        }
        report_schema_hint(r, b);
        report_mend_table(r);
        return false;
    }
    char kind = pg_str(t, 0, TABLE_KIND)[0];
    if (!strchr("rp", kind)) {
        buf_printf(report_kind(r, kind),
                   "it is %s: name a table of this server\n", kind_of(kind));
        return false;
    }
    if (strcmp(pg_str(t, 0, TABLE_SCHEMA), "pg_catalog") == 0) {
        struct buf *b = report_problem(r);

        buf_puts(b, "it is PostgreSQL's own: write ");
        sql_put_written(b, "public", &r->p->name);
        buf_puts(b, ", or another schema\n");
        return false;
    }
    if (!check_same(r, t)) {
        return false;
    }
    check_emptied(r, t);
    if (!is_told(r)) {
        warn_of_other(r, t);
        check_parts(r, t);
    }
    return true;
}

static void compare_table(struct catalog_report *r,
                          struct pg_result *const *results)
{
    const struct plan_projection *p = r->p;

    if (!check_table(r, results[OF_TABLE]) ||
        (r->server != CATALOG_OWNER &&
         !report_rights(r, results[OF_TABLE], results[OF_COLUMNS]))) {
        return;
    }
    for (uint32_t i = 0; i < p->n_columns; i++) {
        report_about(r, p->columns[i].name);
        check_column(r, &p->columns[i], results[OF_COLUMNS]);
    }
    report_about(r, NULL);
    if (!is_told(r)) {
        check_others(r, results[OF_COLUMNS]);
    }
    check_indexes(r, results[OF_INDEXES]);
    report_causes(r, results[OF_CAUSES]);
}

static int64_t oid_of(const struct pgreply *r, uint32_t table)
{
    const struct pg_result *t = catalog_answer(r, table, OF_TABLE);

    return pg_rows(t) ? pg_int(t, 0, TABLE_OID) : 0;
}

/* Under two names it would be written as two tables. */
static void check_same_table(struct catalog_report *r,
                             const struct pgreply *reply, uint32_t table)
{
    int64_t oid = oid_of(reply, table);

    for (uint32_t k = 0; oid && k < table && r->p->part_of < 0; k++) {
        const struct plan_projection *p = &r->plan->projections[k];

        if (oid_of(reply, k) == oid) {
            buf_printf(report_problem(r),
                       "it is the table that the projection of %s:%d calls "
                       "%s: call it the same in both\n",
                       p->file, p->line, p->table);
            return;
        }
    }
}

/* One more than the deepest of its parents that the plan writes too. */
static uint32_t depth_of(const struct pgreply *r, const struct plan *p,
                         const struct plan_facts *facts, uint32_t table)
{
    const struct pg_result *parents = catalog_answer(r, table, OF_PARENTS);
    uint32_t depth = 0;

    for (int i = 0; i < pg_rows(parents); i++) {
        for (uint32_t k = 0; k < p->n_projections; k++) {
            uint32_t below = facts->tables[k].depth + 1;

            if (k != table && oid_of(r, k) == pg_int(parents, i, 0)) {
                depth = below > depth ? below : depth;
            }
        }
    }
    return depth;
}

/* Tables that refer to each other in a circle have no order: whatever they
 * get, the database has the last word. */
static void set_depths(const struct pgreply *r, const struct plan *p,
                       struct plan_facts *facts)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        facts->tables[i].depth = 0;
    }
    for (uint32_t run = 0; run < p->n_projections; run++) {
        for (uint32_t i = 0; i < p->n_projections; i++) {
            facts->tables[i].depth = depth_of(r, p, facts, i);
        }
    }
}

/* What keeps rows out of the cache of every worker. */
static void check_side_effects(struct catalog_report *r,
                               const struct pg_result *causes)
{
    int len;

    if (pg_value(causes, 0, 0, &len)) {
        buf_printf(report_begin(r, true),
                   "no row is cached: %s may change rows in a transaction of "
                   "the pipeline; drop it, or write cache = false\n",
                   pg_str(causes, 0, 0));
    }
}

/* A text that changes is a new one: see program_stmt. */
static void set_schemas(const struct pgreply *r, const struct plan *p,
                        struct plan_facts *facts)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        const char *found =
            pg_str(catalog_answer(r, i, OF_TABLE), 0, TABLE_SCHEMA);

        facts->tables[i].oid = (uint32_t)oid_of(r, i);
        facts_set_schema(facts, i, found, strlen(found));
    }
}

int catalog_compare(const struct pgreply *r, const struct plan *p,
                    struct plan_facts *facts, enum catalog_server server,
                    struct buf *out)
{
    return catalog_differ(r, p, facts, server, out, NULL).n_problems;
}

struct catalog_found catalog_differ(const struct pgreply *r,
                                    const struct plan *p,
                                    struct plan_facts *facts,
                                    enum catalog_server server, struct buf *out,
                                    struct buf *sql)
{
    int n_tables = CATALOG_PER_TABLE * (int)p->n_projections;

    must(r->ok && r->n_results == ANSWER_TABLES + n_tables + plan_is_cached(p));
    struct catalog_report report = {
        .out = out, .plan = p, .server = server, .sql = sql, .all = facts};
    report.user = pg_str(r->results[ANSWER_SERVER], 0, SERVER_USER);
    check_server(&report, r->results[ANSWER_SERVER]);
    report_own_causes(&report, r);
    for (uint32_t i = 0; i < p->n_projections; i++) {
        struct pg_result *const *results =
            r->results + ANSWER_TABLES + CATALOG_PER_TABLE * i;
        report.p = &p->projections[i];
        report.facts = &facts->tables[i];
        compare_table(&report, results);
        check_same_table(&report, r, i);
        report_grants_of_new(&report);
    }
    set_depths(r, p, facts);
    if (report.n_problems == 0) {
        set_schemas(r, p, facts);
    }
    if (plan_is_cached(p)) {
        report.p = NULL;
        check_side_effects(&report, r->results[ANSWER_TABLES + n_tables]);
    }
    report_end(&report);
    return (struct catalog_found){report.n_problems, report.n_unmended,
                                  report.list, report.n};
}

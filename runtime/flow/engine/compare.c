/* See compare.h. */
#include "flow/engine/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "flow/engine/engine.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"

/* ---- comparing ---- */

/* Rows are cached under one check: another generation that finds the tables as
 * they were goes on with them. */
static void learn(struct engine *g, struct generation *n,
                  const struct pg_result *r)
{
    struct compared *t = &n->tables;
    struct shape now = {0};

    shape_read(r, &now);
    t->is_known = true;
    if (t->shape.check && strcmp(t->shape.check, now.check) == 0) {
        shape_close(&now);
        return;
    }
    shape_close(&t->shape);
    t->shape = now;
    t->era++;
    if (generation_is_like(n, g->worker.now)) {
        cache_under(&g->cache,
                    hash_bytes(now.check, (uint32_t)strlen(now.check)));
    }
}

static uint64_t name_of(const struct plan_projection *p)
{
    return hash_bytes(p->table, (uint32_t)strlen(p->table));
}

/* A worker that is started anew goes on with the tables of the run: what a name
 * without a schema leads to may be another one by now. */
static void recall_tables(const struct page *page, struct generation *n)
{
    for (uint32_t i = 0; i < n->plan->n_projections && i < PAGE_TABLES; i++) {
        struct table_facts *known = &n->tables.facts.tables[i];
        const struct page_table *t = &page->tables[i];

        if (!known->schema && t->oid &&
            t->name == name_of(&n->plan->projections[i])) {
            known->oid = t->oid;
            facts_set_schema(&n->tables.facts, i, t->schema,
                             strnlen(t->schema, sizeof(t->schema)));
        }
    }
}

static void keep_tables(struct page *page, const struct generation *n)
{
    for (uint32_t i = 0; i < n->plan->n_projections && i < PAGE_TABLES; i++) {
        const struct table_facts *known = &n->tables.facts.tables[i];
        uint64_t name = name_of(&n->plan->projections[i]);
        struct page_table *t = &page->tables[i];

        if (t->oid != known->oid || t->name != name ||
            strcmp(t->schema, known->schema) != 0) {
            snprintf(t->schema, sizeof(t->schema), "%s", known->schema);
            t->name = name;
            t->oid = known->oid;
        }
    }
}

int compare_tables(struct engine *g, struct generation *n,
                   const struct pgreply *r, struct buf *lines)
{
    struct compared *t = &n->tables;

    recall_tables(g->worker.show.page, n);
    int n_problems =
        catalog_compare(r, n->plan, &t->facts, CATALOG_PRIMARY, lines);
    if (n_problems == 0) {
        keep_tables(g->worker.show.page, n);
        learn(g, n, r->results[ANSWER_SHAPE]);
        free(t->causes);
        free(t->own);
        t->causes = catalog_causes(r, n->plan);
        t->own = catalog_own_causes(r);
        t->hides = catalog_hides(r, n->plan);
    }
    return n_problems;
}

/* The first problem in the words of `check`, and how many more there are. */
static void set_problem(const struct plan *p, const char *lines, int n,
                        struct err *e)
{
    while (strncmp(lines, "warning: ", 9) == 0) {
        lines = strchr(lines, '\n') + 1;
    }
    err_set(e, ERR_SCHEMA, "%.*s", (int)strcspn(lines, "\n"), lines);
    if (n > 1) {
        err_set(e, ERR_SCHEMA,
                "%.480s (and %d more: `tidemill check %.120s` names all)",
                e->text, n - 1, p->path);
    }
}

const char *compare_own_causes(const struct generation *n)
{
    return n->tables.own ? n->tables.own
                         : "is there a trigger or a policy of row-level "
                           "security on it?";
}

bool compare_is_unkept(const struct generation *n, const struct err *e,
                       struct err *named)
{
    const char *what = strcmp(e->sqlstate, "TM004") == 0
                           ? "tidemill.dead_letter does not keep a dead letter"
                       : strcmp(e->sqlstate, "TM005") == 0
                           ? "tidemill.lane does not keep the halt of a lane"
                           : NULL;

    *named = *e;
    if (what) {
        snprintf(named->text, sizeof(named->text),
                 "%s, so nothing was committed: %.300s", what,
                 compare_own_causes(n));
    }
    return what != NULL;
}

bool compare_begin(struct batch *b)
{
    if (b->generation->tables.is_known) {
        b->tables.era = b->generation->tables.era;
    } else {
        b->tables.has_compared = true;
        catalog_ask(b->attempt.conn, b->generation->plan);
    }
    return b->generation->tables.is_known;
}

bool compare_answered(struct batch *b, const struct pgreply *r, struct err *e)
{
    struct buf lines = {0};
    int n = compare_tables(b->engine, b->generation, r, &lines);

    if (n > 0) {
        set_problem(b->generation->plan, buf_text(&lines), n, e);
    } else {
        b->tables.era = b->generation->tables.era;
    }
    buf_close(&lines);
    return n == 0;
}

/* ---- checking ---- */

/* Of each a session keeps the last one alone. */
enum { SERIES_SEAL = 1, SERIES_CHECK };

static void add(struct batch *b, uint32_t series, const char *sql)
{
    pgconn_add_series(b->attempt.conn, &(struct pgstmt){.sql = sql}, series,
                      NULL);
}

void compare_check(struct batch *b, bool keeps)
{
    const struct compared *t = &b->generation->tables;

    if (keeps && t->shape.seal) {
        add(b, SERIES_SEAL, t->shape.seal);
    }
    add(b, SERIES_CHECK, t->shape.check);
}

bool compare_is_outdated(const struct batch *b)
{
    return b->tables.era != b->generation->tables.era;
}

bool compare_explains(struct batch *b, const struct err *e)
{
    bool is_told = strcmp(e->sqlstate, "TM003") == 0;

    bool is_like_one = e->class == ERR_SCHEMA || e->class == ERR_CONFIG;

    if (!is_told && (!is_like_one || b->tables.has_compared)) {
        return false;
    }
    if (!compare_is_outdated(b)) {
        b->generation->tables.is_known = false;
    }
    return true;
}

bool compare_doubt(struct batch *b)
{
    struct pgconn *c = b->attempt.conn;

    if (!c || pgconn_state(c) != PGCONN_IDLE) {
        return false;
    }
    pgconn_add_sql(c, "ROLLBACK");
    compare_check(b, false);
    return true;
}

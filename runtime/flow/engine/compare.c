/* See compare.h. */
#include "flow/engine/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/engine/engine.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"

/* ---- comparing ---- */

static void learn(struct engine *g, const struct pg_result *r)
{
    struct compared *t = &g->tables;
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
    cache_clear(&g->cache);
}

/* A worker that is started anew goes on with the tables of the run: what a name
 * without a schema leads to may be another one by now. */
static void recall_tables(struct engine *g)
{
    for (uint32_t i = 0; i < g->plan->n_projections && i < PAGE_TABLES; i++) {
        struct plan_projection *p = &g->plan->projections[i];
        const struct page_table *t = &g->show.page->tables[i];

        if (!p->schema && t->oid) {
            p->oid = t->oid;
            p->schema = arena_dup(&g->plan->arena, t->schema,
                                  strnlen(t->schema, sizeof(t->schema)));
        }
    }
}

static void keep_tables(struct engine *g)
{
    for (uint32_t i = 0; i < g->plan->n_projections && i < PAGE_TABLES; i++) {
        const struct plan_projection *p = &g->plan->projections[i];
        struct page_table *t = &g->show.page->tables[i];

        if (t->oid != p->oid || strcmp(t->schema, p->schema) != 0) {
            snprintf(t->schema, sizeof(t->schema), "%s", p->schema);
            t->oid = p->oid;
        }
    }
}

int compare_tables(struct engine *g, const struct pgreply *r, struct buf *lines)
{
    recall_tables(g);
    int n = catalog_compare(r, g->plan, CATALOG_PRIMARY, lines);

    if (n == 0) {
        keep_tables(g);
        learn(g, r->results[ANSWER_SHAPE]);
        free(g->tables.causes);
        free(g->tables.own);
        g->tables.causes = catalog_causes(r, g->plan);
        g->tables.own = catalog_own_causes(r);
        g->tables.hides = catalog_hides(r, g->plan);
    }
    return n;
}

/* The first problem in the words of `check`, and how many more there are. */
static void set_problem(const struct engine *g, const char *lines, int n,
                        struct err *e)
{
    while (strncmp(lines, "warning: ", 9) == 0) {
        lines = strchr(lines, '\n') + 1;
    }
    err_set(e, ERR_SCHEMA, "%.*s", (int)strcspn(lines, "\n"), lines);
    if (n > 1) {
        err_set(e, ERR_SCHEMA,
                "%.480s (and %d more: `tidemill check %.120s` names all)",
                e->text, n - 1, g->plan->path);
    }
}

void compare_close(struct compared *t)
{
    shape_close(&t->shape);
    free(t->causes);
    free(t->own);
}

const char *compare_own_causes(const struct engine *g)
{
    return g->tables.own ? g->tables.own
                         : "is there a trigger or a policy of row-level "
                           "security on it?";
}

bool compare_is_unkept(const struct engine *g, const struct err *e,
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
                 compare_own_causes(g));
    }
    return what != NULL;
}

bool compare_begin(struct batch *b)
{
    struct engine *g = b->engine;

    if (g->tables.is_known) {
        b->tables.era = g->tables.era;
    } else {
        b->tables.has_compared = true;
        catalog_ask(b->attempt.conn, g->plan);
    }
    return g->tables.is_known;
}

bool compare_answered(struct batch *b, const struct pgreply *r, struct err *e)
{
    struct buf lines = {0};
    int n = compare_tables(b->engine, r, &lines);

    if (n > 0) {
        set_problem(b->engine, buf_text(&lines), n, e);
    } else {
        b->tables.era = b->engine->tables.era;
    }
    buf_close(&lines);
    return n == 0;
}

/* ---- checking ---- */

static void add(struct batch *b, const char *name, const char *sql)
{
    pgconn_add_version(b->attempt.conn,
                       &(struct pgstmt){.name = name, .sql = sql},
                       b->engine->tables.era, NULL);
}

void compare_check(struct batch *b, bool keeps)
{
    const struct compared *t = &b->engine->tables;

    if (keeps && t->shape.seal) {
        add(b, "tm_seal", t->shape.seal);
    }
    add(b, "tm_check", t->shape.check);
}

bool compare_is_outdated(const struct batch *b)
{
    return b->tables.era != b->engine->tables.era;
}

bool compare_explains(struct batch *b, const struct err *e)
{
    bool is_told = strcmp(e->sqlstate, "TM003") == 0;

    bool is_like_one = e->class == ERR_SCHEMA || e->class == ERR_CONFIG;

    if (!is_told && (!is_like_one || b->tables.has_compared)) {
        return false;
    }
    if (!compare_is_outdated(b)) {
        b->engine->tables.is_known = false;
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

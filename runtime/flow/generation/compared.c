/* See compared.h. */
#include "flow/generation/compared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "flow/table/cache_ring.h"
#include "model/page.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"

static void learn(struct generation *n, struct cache_ring *cache,
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
    if (cache) {
        cache_ring_under(cache, hash_text(now.check));
    }
}

static uint64_t name_of(const struct plan_projection *p)
{
    return hash_text(p->table);
}

/* A worker that is started anew goes on with the tables of the run: what a name
 * without a schema leads to may be another one by now. */
static void take_tables(const struct page *page, struct generation *n)
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

int compared_tables(struct generation *n, struct page *page,
                    struct cache_ring *cache, const struct pgreply *r,
                    struct buf *lines)
{
    struct compared *t = &n->tables;

    take_tables(page, n);
    int n_problems =
        catalog_compare(r, n->plan, &t->facts, CATALOG_PRIMARY, lines);
    if (n_problems == 0) {
        keep_tables(page, n);
        learn(n, cache, r->results[ANSWER_SHAPE]);
        free(t->causes);
        free(t->own);
        t->causes = catalog_causes(r, n->plan);
        t->own = catalog_own_causes(r);
        t->hides = catalog_hides(r, n->plan);
    }
    return n_problems;
}

const char *compared_own_causes(const struct generation *n)
{
    return n->tables.own ? n->tables.own
                         : "is there a trigger or a policy of row-level "
                           "security on it?";
}

bool compared_is_unkept(const struct generation *n, const struct err *e,
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
                 compared_own_causes(n));
    }
    return what != NULL;
}

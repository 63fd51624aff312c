/* See facts.h. */
#include "model/facts.h"

#include <string.h>

#include "model/columns.h"

void facts_open(struct plan_facts *f, const struct plan *p)
{
    arena_init(&f->arena, 0);
    f->tables =
        arena_zero(&f->arena, (p->n_projections + 1) * sizeof(*f->tables));
    for (uint32_t i = 0; i < p->n_projections; i++) {
        uint32_t n = columns_words(p->projections[i].n_columns);

        f->tables[i].must_be_given =
            arena_zero(&f->arena, n * sizeof(uint64_t));
    }
}

void facts_close(struct plan_facts *f)
{
    arena_close(&f->arena);
    f->tables = NULL;
}

void facts_set_given(struct table_facts *t, uint32_t column, bool must_be_given)
{
    t->must_be_given[column / 64] &= ~(1ULL << column % 64);
    if (must_be_given) {
        columns_add(t->must_be_given, column);
    }
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *kept(struct plan_facts *f, const char *text)
{
    return text ? arena_dup(&f->arena, text, strlen(text)) : NULL;
}

void facts_set_cast(struct plan_facts *f, struct table_facts *t,
                    uint32_t column, uint32_t n, const struct column_cast *now)
{
    struct column_cast *c;

    if (!t->casts) {
        if (!now->to) {
            return;
        }
        t->casts = arena_zero(&f->arena, n * sizeof(*t->casts));
        t->unread = arena_zero(&f->arena, n);
    }
    c = &t->casts[column];
    if (is_same(c->to, now->to) && is_same(c->type, now->type) &&
        is_same(c->back, now->back) && c->is_unread == now->is_unread) {
        return;
    }
    *c = (struct column_cast){.to = kept(f, now->to),
                              .back = kept(f, now->back),
                              .type = kept(f, now->type),
                              .is_unread = now->is_unread};
    t->unread[column] = now->is_unread;
    t->n_recast++;
}

void facts_set_schema(struct plan_facts *f, uint32_t table, const char *schema,
                      size_t len)
{
    const char *now = f->tables[table].schema;

    if (!now || strlen(now) != len || memcmp(now, schema, len) != 0) {
        f->tables[table].schema = arena_dup(&f->arena, schema, len);
    }
}

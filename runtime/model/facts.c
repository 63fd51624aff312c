/* See facts.h. */
#include "model/facts.h"

#include <string.h>

void facts_open(struct plan_facts *f, uint32_t n_tables)
{
    arena_init(&f->arena, 0);
    f->tables = arena_zero(&f->arena, (n_tables + 1) * sizeof(*f->tables));
}

void facts_close(struct plan_facts *f)
{
    arena_close(&f->arena);
    f->tables = NULL;
}

/* Programs have no more columns than there are bits. */
void facts_set_given(struct table_facts *t, uint32_t column, bool must_be_given)
{
    uint64_t bit = column < 64 ? 1ULL << column : 0;

    t->must_be_given &= ~bit;
    t->must_be_given |= must_be_given ? bit : 0;
}

void facts_set_schema(struct plan_facts *f, uint32_t table, const char *schema,
                      size_t len)
{
    const char *now = f->tables[table].schema;

    if (!now || strlen(now) != len || memcmp(now, schema, len) != 0) {
        f->tables[table].schema = arena_dup(&f->arena, schema, len);
    }
}

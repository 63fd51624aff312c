#pragma once
/*
 * What a database told of the tables of a plan when they were compared last
 * (postgres/store/catalog.h). The plan says what is wanted and never changes;
 * this is what is there.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/plan.h"

struct table_facts {
    const char *schema; /* facts' arena: that it was found in, which statements
                           name; NULL: not yet */
    uint32_t oid;       /* of that table */
    uint32_t depth; /* below how many others of the plan it stands by foreign
                           keys */
    uint64_t *must_be_given; /* facts' arena; a set of columns (columns.h): NOT
                                NULL without default */
};

struct plan_facts {
    struct arena arena;
    struct table_facts *tables; /* arena; by projection */
};

void facts_open(struct plan_facts *f, const struct plan *p);
void facts_close(struct plan_facts *f);
void facts_set_given(struct table_facts *t, uint32_t column,
                     bool must_be_given);
/* Where it is the same, the pointer stays the same: texts that name it go on
 * being good. */
void facts_set_schema(struct plan_facts *f, uint32_t table, const char *schema,
                      size_t len);

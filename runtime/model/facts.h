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

/* A column of a type that Tidemill does not know. It is declared as a text, and
 * the server makes its value of that. */
struct column_cast {
    const char *to; /* SQL: what the text is cast to; NULL: there is no cast */
    const char *back; /* SQL: what a value is cast to that is read again */
    const char *type; /* of the table's column, for people */
    bool is_unread;   /* the text that is read again may not be the one that was
                       written, so no handler sees it */
};

struct table_facts {
    const char *schema; /* facts' arena: that it was found in, which statements
                           name; NULL: not yet */
    struct column_cast *casts; /* facts' arena; by column; NULL: none has one */
    uint8_t *unread;           /* the same: their is_unread */
    uint32_t n_recast;         /* grows with each change of a cast */
    uint32_t oid;              /* of that table */
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
/* [n]: columns of the table's projection. Copies the texts. */
void facts_set_cast(struct plan_facts *f, struct table_facts *t,
                    uint32_t column, uint32_t n, const struct column_cast *now);
/* Where it is the same, the pointer stays the same: texts that name it go on
 * being good. */
void facts_set_schema(struct plan_facts *f, uint32_t table, const char *schema,
                      size_t len);

#pragma once
/* Quoting of identifiers, and words for types. Pure. */
#include "base/buf.h"
#include "model/plan.h"
#include "model/type.h"

/* A table as a projection names it: "table" or "schema.table". */
struct sql_name {
    const char *schema; /* borrowed, schema_len bytes; "" when not said */
    int schema_len;
    const char *table; /* borrowed, NUL-terminated */
};

struct sql_name sql_split(const char *table);
/* "na""me" */
void sql_quote(struct buf *b, const char *name);
/* The schema of the name alone. */
void sql_quote_schema(struct buf *b, const struct sql_name *n);
/* "schema"."table" */
void sql_quote_table(struct buf *b, const char *table);
/* The same, in the schema that it was found in; NULL: not yet known. */
void sql_put_table(struct buf *b, const char *schema, const char *table);
/* The shortest word of a pipeline for the type: "timestamptz(3)". */
void sql_type_word(struct buf *b, const struct coltype *t);
/* " OR (...)" for each table of the plan, of a pg_class c and its pg_namespace n:
 * the one that the name stands for. Names of a plan have no quotes. */
void sql_or_tables(struct buf *b, const struct plan *p);

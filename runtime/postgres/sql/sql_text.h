#pragma once
/* Quoting of identifiers, and words for types. Pure. */
#include "base/buf.h"
#include "model/plan.h"
#include "model/type.h"

/* "na""me" */
void sql_quote(struct buf *b, const char *name);
/* 'it''s' */
void sql_quote_text(struct buf *b, const char *text);
/* "schema"."table" */
void sql_quote_table(struct buf *b, const struct plan_name *n);
/* The same, in the schema that it was found in; NULL: not yet known. */
void sql_put_table(struct buf *b, const char *schema,
                   const struct plan_name *n);
/* table = 'schema.table', as a pipeline names that table. */
void sql_put_written(struct buf *b, const char *schema,
                     const struct plan_name *n);
/* name, or ['a name'], as a pipeline's tables have it as a key. */
void sql_put_field(struct buf *b, const char *name);
/* The shortest word of a pipeline for the type: "timestamptz(3)". */
void sql_type_word(struct buf *b, const struct coltype *t);
/* " OR (...)" for each table of the plan, of a pg_class c and its pg_namespace n:
 * the one that the name stands for. */
void sql_or_tables(struct buf *b, const struct plan *p);

/*
 * Types of columns: the declared one against the table's, and which columns are
 * written as a text that the server casts. See catalog_part.h.
 */
#include <string.h>

#include "postgres/sql/sql_text.h"
#include "postgres/store/catalog_part.h"

/* "mood (an enum)" */
static void put_found(struct buf *b, const struct pg_result *columns, int i)
{
    const char *word = pg_str(columns, i, COLUMN_WORD);

    buf_puts(b, pg_str(columns, i, COLUMN_TYPE));
    if (word[0]) {
        buf_printf(b, " (%s)", word);
    }
}

static void put_other_type(struct catalog_report *r,
                           const struct plan_column *c,
                           const struct pg_result *columns, int i)
{
    struct coltype type;
    struct buf *b = report_problem(r);

    buf_printf(b, "column %s is ", c->name);
    put_found(b, columns, i);
    buf_puts(b, " in the table but ");
    sql_type_word(b, &c->type);
    buf_puts(b, " in the projection: ");
    if (type_parse(pg_str(columns, i, COLUMN_BASE), &type)) {
        buf_puts(b, "write ");
        sql_put_field(b, c->name);
        buf_puts(b, " = '");
        sql_type_word(b, &type);
        buf_puts(b, "', or ");
    } else if (!c->is_key) {
        buf_puts(b, "write ");
        sql_put_field(b, c->name);
        buf_puts(b, " = 'text', which is cast to the column's type, or ");
    }
    report_mend_type(r, c, pg_str(columns, i, COLUMN_TYPE));
}

/* Is it to be written as a text that the server casts? A text for what Tidemill
 * does not know, for what a domain is made of, and for blanks that do not
 * count; an array for any other array. */
static bool is_cast(const struct plan_column *c,
                    const struct pg_result *columns, int i)
{
    struct coltype base;
    bool is_known = type_parse(pg_str(columns, i, COLUMN_BASE), &base);

    if (c->type.kind == TYPE_TEXT_ARRAY || c->type.kind == TYPE_BIGINT_ARRAY) {
        return !is_known && pg_int(columns, i, COLUMN_IS_ARRAY);
    }
    return c->type.kind == TYPE_TEXT && (!is_known || base.kind == TYPE_CHAR ||
                                         pg_int(columns, i, COLUMN_IS_DOMAIN));
}

/* What has to compare values of the column as their type would; NULL: nothing. */
static const char *comparer_of(const struct plan_projection *p,
                               const struct plan_column *c)
{
    int at = (int)(c - p->columns);

    return c->is_key                ? "a key"
           : at == p->once          ? "`once`"
           : at == p->newer         ? "`newer`"
           : c->merge != MERGE_NONE ? "`merge`"
                                    : NULL;
}

/* Why no text may be written to a column of this form; NULL: it may. */
static const char *refusal_of(char form)
{
    return form == FORM_LOSSY
               ? "which may cut or change a text without an error"
           : form == FORM_NAMES
               ? "whose texts name objects of the database: a text that names "
                 "none would halt the lane"
               : NULL;
}

static bool may_be_cast(struct catalog_report *r, const struct plan_column *c,
                        const struct pg_result *columns, int i)
{
    const char *comparer = comparer_of(r->p, c);
    const char *refusal = refusal_of(pg_str(columns, i, COLUMN_FORM)[0]);

    if (!comparer && !refusal) {
        return true;
    }
    struct buf *b = report_problem(r);
    buf_printf(b, "column %s is ", c->name);
    put_found(b, columns, i);
    if (refusal) {
        buf_printf(b, " in the table, %s: ", refusal);
    } else {
        buf_printf(b,
                   " in the table, whose values are not equal or ordered as "
                   "their texts are, so %s cannot use it: ",
                   comparer);
    }
    report_mend_type(r, c, pg_str(columns, i, COLUMN_TYPE));
    return false;
}

static void set_cast(struct catalog_report *r, const struct plan_column *c,
                     const struct pg_result *columns, int i)
{
    char form = pg_str(columns, i, COLUMN_FORM)[0];
    struct buf to = {0}, type = {0};
    bool is_money = form == FORM_MONEY;

    put_found(&type, columns, i);
    buf_printf(&to, "%s%s", is_money ? "numeric::" : "",
               pg_str(columns, i, COLUMN_CAST));
    facts_set_cast(
        r->all, r->facts, (uint32_t)(c - r->p->columns), r->p->n_columns,
        &(struct column_cast){.to = buf_text(&to),
                              .back = is_money ? "numeric::text" : "text",
                              .type = buf_text(&type),
                              .is_unread = form != FORM_EXACT});
    buf_close(&to);
    buf_close(&type);
}

void report_type(struct catalog_report *r, const struct plan_column *c,
                 const struct pg_result *columns, int i)
{
    static const struct column_cast none = {0};
    struct buf declared = {0};

    type_print(&c->type, &declared);
    if (strcmp(buf_text(&declared), pg_str(columns, i, COLUMN_BASE)) == 0) {
        facts_set_cast(r->all, r->facts, (uint32_t)(c - r->p->columns),
                       r->p->n_columns, &none);
    } else if (!is_cast(c, columns, i)) {
        put_other_type(r, c, columns, i);
    } else if (may_be_cast(r, c, columns, i)) {
        set_cast(r, c, columns, i);
    }
    buf_close(&declared);
}

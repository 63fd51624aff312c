/* The statements that mend what was found, for `schema --diff`. */
#include <string.h>

#include "postgres/sql/sql.h"
#include "postgres/sql/sql_text.h"
#include "postgres/store/catalog_part.h"
#include "postgres/store/rights.h"

void report_found(struct catalog_report *r, bool is_warning)
{
    bool is_of_column = r->p && r->line > 0;

    if (!r->sql) {
        return;
    }
    r->list = mem_grow(r->list, (r->n + 1) * sizeof(*r->list));
    r->list[r->n++] = (struct catalog_finding){
        .code = is_of_column ? "column"
                : r->p       ? "table"
                             : "database",
        .is_warning = is_warning,
        .table = r->p ? r->p->table : NULL,
        .file = r->p ? r->p->file : r->plan->database.file,
        .line = is_of_column ? r->line
                : r->p       ? r->p->line
                             : r->plan->database.line,
        .what_from = r->out->len,
        .sql_from = r->sql->len};
}

static void end_found(struct catalog_report *r)
{
    if (r->n > 0 && r->list[r->n - 1].what_to == 0) {
        r->list[r->n - 1].what_to = r->out->len - 1;
        r->list[r->n - 1].sql_to = r->sql->len;
    }
}

void report_end(struct catalog_report *r)
{
    end_found(r);
    if (r->sql && r->is_open) {
        buf_puts(r->sql, "-- no SQL mends this: ");
        buf_put(r->sql, r->out->data + r->line_from,
                r->out->len - r->line_from);
        r->n_unmended++;
    }
    r->is_open = false;
}

void report_mends_by(struct catalog_report *r, const char *note,
                     const char *sql)
{
    if (r->sql) {
        buf_printf(r->sql, "%s%s%s", note ? note : "", sql,
                   sql[strlen(sql) - 1] == '\n' ? "" : "\n");
    }
    r->is_open = false;
}

void report_mends(struct catalog_report *r, size_t from, const char *note)
{
    report_mends_by(r, note, buf_text(r->out) + from);
}

/* Of what is not there yet nobody can ask for rights. */
void report_grants_of_new(struct catalog_report *r)
{
    report_end(r);
    if (r->sql && r->has_new) {
        rights_grant_table(r->sql, r->plan, r->p, r->user);
    }
    r->has_new = false;
}

/* All of it is IF NOT EXISTS, so that once is enough for whatever lacks. */
void report_mend_own(struct catalog_report *r)
{
    report_mends_by(r, NULL, r->has_schema ? "\n" : sql_schema());
    if (r->sql && !r->has_schema) {
        rights_grant_own(r->sql, r->user);
    }
    r->has_schema = true;
}

void put_alter_column(struct buf *b, const struct plan_projection *p,
                      const char *column)
{
    buf_puts(b, "ALTER TABLE ");
    sql_quote_table(b, &p->name);
    buf_puts(b, " ALTER COLUMN ");
    sql_quote(b, column);
}

void report_mend_type(struct catalog_report *r, const struct plan_column *c,
                      const char *found)
{
    struct buf *b = r->out;
    struct buf note = {0};
    size_t from = b->len;

    buf_printf(&note,
               "-- %s was %s. The table is rewritten while nobody can use it; "
               "values may be\n-- rounded. A value or a default that does not "
               "fit, and a view of the column, end\n-- this: drop those "
               "first.\n",
               c->name, found);
    put_alter_column(b, r->p, c->name);
    buf_puts(b, " TYPE ");
    sql_type_word(b, &c->type);
    buf_puts(b, " USING ");
    sql_quote(b, c->name);
    buf_puts(b, "::");
    sql_type_word(b, &c->type);
    buf_puts(b, ";\n");
    report_mends(r, from, buf_text(&note));
    buf_close(&note);
}

void report_mend_not_null(struct catalog_report *r, const char *name)
{
    struct buf sql = {0};

    put_alter_column(&sql, r->p, name);
    buf_puts(&sql, " DROP NOT NULL;\n");
    report_mends_by(r,
                    "-- No row of the projection fills this column. Or name it "
                    "there, or give it a\n-- default.\n",
                    buf_text(&sql));
    buf_close(&sql);
}

void report_mend_table(struct catalog_report *r)
{
    struct arena a;

    arena_init(&a, 0);
    report_mends_by(r, NULL, sql_table(&a, r->p));
    r->has_new = true;
    arena_close(&a);
}

void report_mend_unlogged(struct catalog_report *r, const char *part)
{
    struct buf sql = {0};

    buf_printf(&sql, "ALTER TABLE %s SET LOGGED;\n", part);
    report_mends_by(r, NULL, buf_text(&sql));
    buf_close(&sql);
}

/* The statement itself, on one line: what people are missing. */
void report_table_sql(struct catalog_report *r, struct buf *b)
{
    struct arena a;
    const char *sql;

    arena_init(&a, 0);
    sql = strstr(sql_table(&a, r->p),
                 r->p->unlogged ? "CREATE UNLOGGED" : "CREATE TABLE");
    for (; sql && *sql && *sql != ';'; sql++) {
        bool is_blank = strchr(" \n", *sql) != NULL;

        if (!is_blank || !strchr(" \n", sql[1])) {
            buf_put(b, is_blank ? " " : sql, 1);
        }
    }
    buf_puts(b, ": ");
    arena_close(&a);
}

void report_index_sql(struct catalog_report *r, struct buf *b)
{
    size_t from = b->len;

    buf_puts(b, "CREATE UNIQUE INDEX ON ");
    sql_quote_table(b, &r->p->name);
    buf_puts(b, " (");
    sql_identity(b, r->p);
    buf_puts(b, ");\n");
    report_mends(
        r, from,
        "-- It fails where rows have one key: which of them is to stay "
        "is for you to say.\n");
}

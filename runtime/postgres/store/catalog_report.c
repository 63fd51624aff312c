/* See catalog_part.h. */
#include "postgres/store/catalog_part.h"

#include <string.h>

#include "postgres/sql/sql_text.h"

struct buf *report_begin(struct catalog_report *r, bool is_warning)
{
    report_end(r);
    r->is_open = !is_warning;
    r->line_from = r->out->len;
    r->n_problems += !is_warning;
    buf_puts(r->out, is_warning ? "warning: " : "");
    if (r->p) {
        buf_printf(r->out, "%s:%d: table %s: ", r->p->file,
                   r->line ? r->line : r->p->line, r->p->table);
    } else {
        buf_printf(r->out, "%s:%d: database: ", r->plan->database.file,
                   r->plan->database.line);
    }
    report_found(r, is_warning);
    return r->out;
}

struct buf *report_problem(struct catalog_report *r)
{
    return report_begin(r, false);
}

void report_to(struct catalog_report *r)
{
    buf_puts(r->out, " TO ");
    sql_quote(r->out, r->user);
    buf_puts(r->out, ";\n");
}

void report_grant(struct catalog_report *r, const char *rights, const char *on)
{
    size_t from = r->out->len;

    buf_printf(r->out, "GRANT %s ON %s", rights, on);
    report_to(r);
    report_mends(r, from, NULL);
}

int report_column(const struct pg_result *columns, const char *name)
{
    for (int i = 0; i < pg_rows(columns); i++) {
        if (strcmp(pg_str(columns, i, COLUMN_NAME), name) == 0) {
            return i;
        }
    }
    return -1;
}

void report_about(struct catalog_report *r, const char *column)
{
    r->line = 0;
    for (uint32_t i = 0; column && i < r->p->n_columns; i++) {
        if (strcmp(r->p->columns[i].name, column) == 0) {
            r->line = r->p->columns[i].line;
        }
    }
}

bool report_is_declared(const struct catalog_report *r, const char *name)
{
    const struct plan_projection *p = r->p;
    for (uint32_t i = 0; i < p->n_columns; i++) {
        if (strcmp(p->columns[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What the role of the connection may do to a projection's table: see
 * rights.h for what it needs. */
#include "postgres/sql/sql_text.h"
#include "postgres/store/catalog_part.h"
#include "postgres/store/rights.h"

static bool is_needed(const struct plan_projection *p,
                      const struct rights *needs, enum right right, uint32_t i)
{
    if (right == RIGHT_UPDATE && i < p->n_key && p->n_key < p->n_columns) {
        return false; /* a row keeps its key */
    }
    return needs->needs[right] ||
           (right == RIGHT_SELECT && (int)i == needs->read_column);
}

/* Lists the columns on which the right is needed and missing; true: on all
 * that it is needed on. */
static bool put_lacking(struct catalog_report *r, const struct rights *needs,
                        enum right right, const struct pg_result *columns,
                        struct buf *list)
{
    bool is_all = needs->needs[right];
    for (uint32_t i = 0; i < r->p->n_columns; i++) {
        int row = report_column(columns, r->p->columns[i].name);
        if (row < 0 || !is_needed(r->p, needs, right, i)) {
            continue;
        }
        if (pg_int(columns, row, COLUMN_SELECT + (int)right)) {
            is_all = false;
        } else {
            buf_puts(list, list->len ? ", " : "");
            sql_quote(list, r->p->columns[i].name);
        }
    }
    return is_all;
}

static void put_right(struct catalog_report *r, const char *right,
                      const char *columns)
{
    struct buf *b = report_problem(r);
    buf_printf(b, "role %s has no %s privilege%s: ", r->user, right,
               columns ? " on some columns" : "");
    size_t from = b->len;
    buf_printf(b, "GRANT %s", right);
    buf_printf(b, columns ? " (%s) ON " : " ON ", columns);
    sql_quote_table(b, &r->p->name);
    report_to(r);
    report_mends(r, from, NULL);
}

static void check_right(struct catalog_report *r, const struct rights *needs,
                        enum right right, const struct pg_result *t,
                        const struct pg_result *columns)
{
    struct buf list = {0};
    bool is_all = put_lacking(r, needs, right, columns, &list);
    if (right == RIGHT_SELECT && r->p->exact == EXACT_ALIGNED &&
        !pg_int(t, 0, TABLE_XMIN)) {
        buf_puts(&list, list.len ? ", xmin" : "xmin");
    }
    if (list.len) {
        put_right(r, right_words[right], is_all ? NULL : buf_text(&list));
    }
    buf_close(&list);
}

static void check_all(struct catalog_report *r, const struct pg_result *t,
                      const struct pg_result *columns)
{
    struct rights needs = rights_of(r->plan, r->p);
    for (int i = 0; i < RIGHT_DELETE; i++) {
        check_right(r, &needs, (enum right)i, t, columns);
    }
    for (int i = RIGHT_DELETE; i < N_RIGHTS; i++) {
        if (needs.needs[i] && !pg_int(t, 0, TABLE_DELETE + i - RIGHT_DELETE)) {
            put_right(r, right_words[i], NULL);
        }
    }
}

static bool check_usage(struct catalog_report *r, const struct pg_result *t)
{
    if (pg_int(t, 0, TABLE_USAGE)) {
        return true;
    }
    struct buf *b = report_problem(r);
    buf_printf(b, "role %s has no USAGE privilege on its schema: ", r->user);
    size_t from = b->len;
    buf_puts(b, "GRANT USAGE ON SCHEMA ");
    sql_quote(b, pg_str(t, 0, TABLE_SCHEMA));
    report_to(r);
    report_mends(r, from, NULL);
    r->has_new = true; /* what else it may not do cannot be asked */
    return false;
}

/* A column that is filled from a sequence whenever a row does not say it. */
static void check_sequence(struct catalog_report *r,
                           const struct pg_result *columns, int i)
{
    const char *sequence = pg_str(columns, i, COLUMN_SEQUENCE);
    const char *name = pg_str(columns, i, COLUMN_NAME);
    if (sequence[0]) {
        struct buf *b = report_begin(r, report_is_declared(r, name));
        buf_printf(b,
                   "role %s may not use the sequence of column %s: ", r->user,
                   name);
        size_t from = b->len;
        buf_printf(b, "GRANT USAGE ON SEQUENCE %s", sequence);
        report_to(r);
        report_mends(r, from, NULL);
    }
}

bool report_rights(struct catalog_report *r, const struct pg_result *table,
                   const struct pg_result *columns)
{
    if (!check_usage(r, table)) {
        return false;
    }
    check_all(r, table, columns);
    for (int i = 0; i < pg_rows(columns); i++) {
        report_about(r, pg_str(columns, i, COLUMN_NAME));
        check_sequence(r, columns, i);
        report_about(r, NULL);
    }
    return true;
}

/* The closing words of `dev`: see dev_report.h. */
#include "cli/dev/dev_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/say.h"
#include "cli/table.h"
#include "postgres/operator/operator_connection.h"
#include "postgres/sql/sql_text.h"
#include "postgres/wire/conn.h"
#include "supervise/totals.h"

enum { SAMPLE_ROWS = 3, SAMPLE_COLUMNS = 6, KEY_WIDTH = 13, CELL_WIDTH = 24 };

/* [select] FROM the table, [end]; NULL: what is wrong has been said. */
static struct pg_result *ask(struct operator_connection *c, const char *select,
                             const struct plan_projection *p, const char *end)
{
    struct buf sql = {0};
    struct err e;
    buf_printf(&sql, "SELECT %s FROM ", select);
    sql_quote_table(&sql, &p->name);
    buf_puts(&sql, end);
    struct pg_result *r = operator_connection_ask(c, buf_text(&sql), NULL, &e);
    if (!r) {
        say("%s: %s\n", p->table, e.text);
    }
    buf_close(&sql);
    return r;
}

/* Keys are cut short, so that there is room for what the events made. */
static void put_column(struct buf *sql, const struct plan_column *column)
{
    int most = column->is_key ? KEY_WIDTH : CELL_WIDTH;

    buf_puts(sql, sql->len > 0 ? ", CASE WHEN length(" : "CASE WHEN length(");
    sql_quote(sql, column->name);
    buf_printf(sql, "::text) > %d THEN left(", most);
    sql_quote(sql, column->name);
    buf_printf(sql, "::text, %d) || '...' ELSE ", most - 3);
    sql_quote(sql, column->name);
    buf_puts(sql, "::text END");
}

static void print_rows(const struct plan_projection *p, uint32_t n,
                       const struct pg_result *rows)
{
    struct table_column columns[SAMPLE_COLUMNS];
    struct table t;

    for (uint32_t i = 0; i < n; i++) {
        columns[i] = (struct table_column){
            .title = p->columns[i].name,
            .is_number = type_is_number(p->columns[i].type.kind)};
    }
    table_init(&t, columns, n);
    for (int row = 0; row < pg_rows(rows); row++) {
        for (uint32_t i = 0; i < n; i++) {
            int len;
            table_text(&t, pg_value(rows, row, (int)i, &len));
        }
    }
    table_print(&t);
    table_close(&t);
}

static void print_table(struct operator_connection *c,
                        const struct plan_projection *p)
{
    struct buf select = {0};
    char limit[24];
    uint32_t n = p->n_columns < SAMPLE_COLUMNS ? p->n_columns : SAMPLE_COLUMNS;
    struct pg_result *count = ask(c, "count(*)::text", p, "");

    if (!count) {
        return;
    }
    say("\n%s: %s row%s\n", p->table, pg_str(count, 0, 0),
        strcmp(pg_str(count, 0, 0), "1") == 0 ? "" : "s");
    operator_connection_free(count);
    snprintf(limit, sizeof(limit), " LIMIT %d", SAMPLE_ROWS);
    for (uint32_t i = 0; i < n; i++) {
        put_column(&select, &p->columns[i]);
    }
    struct pg_result *rows = ask(c, buf_text(&select), p, limit);
    if (rows && pg_rows(rows) > 0) {
        print_rows(p, n, rows);
    }
    operator_connection_free(rows);
    buf_close(&select);
}

void dev_report_print(const struct plan *p, const struct page *page,
                      double seconds)
{
    struct totals t;
    struct operator_connection c;
    struct err e;
    totals_read(page, &t);
    uint64_t events = t.counters[COUNT_EVENTS];
    say("\n%" PRIu64 " events in %.1f s: %.0f events/s, %" PRIu64
        " batches, %" PRIu64 " rows written\n",
        events, seconds, seconds > 0 ? (double)events / seconds : 0,
        t.counters[COUNT_BATCHES], t.counters[COUNT_ROWS_WRITTEN]);
    bool ok = operator_connection_open(&c, p, "", &e);
    if (!ok) {
        say("  %s\n", e.text);
    }
    for (uint32_t i = 0; ok && i < p->n_projections; i++) {
        print_table(&c, &p->projections[i]);
    }
    operator_connection_close(&c);
}

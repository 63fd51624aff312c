/* The closing words of `dev`: see dev_report.h. */
#include "cli/dev/dev_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/say.h"
#include "postgres/operator/operator_connection.h"
#include "postgres/sql/sql_text.h"
#include "postgres/wire/conn.h"
#include "supervise/totals.h"

enum { SAMPLE_ROWS = 3, SAMPLE_WIDTH = 76 };

/* [select] FROM the table, [end]; NULL: what is wrong has been said. */
static struct pg_result *ask(struct operator_connection *c, const char *select,
                             const char *table, const char *end)
{
    struct buf sql = {0};
    struct err e;
    buf_printf(&sql, "SELECT %s FROM ", select);
    sql_quote_table(&sql, table);
    buf_puts(&sql, end);
    struct pg_result *r = operator_connection_ask(c, buf_text(&sql), NULL, &e);
    if (!r) {
        say("  %-20s %s\n", table, e.text);
    }
    buf_close(&sql);
    return r;
}

static void print_table(struct operator_connection *c, const char *table)
{
    char limit[24];
    struct pg_result *count = ask(c, "count(*)::text", table, "");
    if (!count) {
        return;
    }
    say("  %-20s %s rows\n", table, pg_str(count, 0, 0));
    operator_connection_free(count);
    snprintf(limit, sizeof(limit), " AS t LIMIT %d", SAMPLE_ROWS);
    struct pg_result *rows = ask(c, "row_to_json(t)::text", table, limit);
    for (int i = 0; rows && i < pg_rows(rows); i++) {
        const char *row = pg_str(rows, i, 0);
        bool is_long = strlen(row) > SAMPLE_WIDTH;
        say("    %.*s%s\n", is_long ? SAMPLE_WIDTH - 4 : SAMPLE_WIDTH, row,
            is_long ? " ..." : "");
    }
    operator_connection_free(rows);
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
        " batches, %" PRIu64 " rows written\n\n",
        events, seconds, seconds > 0 ? (double)events / seconds : 0,
        t.counters[COUNT_BATCHES], t.counters[COUNT_ROWS_WRITTEN]);
    bool ok = operator_connection_open(&c, p, "", &e);
    if (!ok) {
        say("  %s\n", e.text);
    }
    for (uint32_t i = 0; ok && i < p->n_projections; i++) {
        print_table(&c, p->projections[i].table);
    }
    operator_connection_close(&c);
}

/* The closing words of `dev`: see dev_report.h. */
#include "cli/dev/dev_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/say.h"
#include "model/deadlines.h"
#include "postgres/wire/dial.h"
#include "supervise/totals.h"

enum { SAMPLE_ROWS = 3, SAMPLE_WIDTH = 76 };

/* One question to the database at a time, by a loop of our own. */
struct asking {
    struct loop *loop;
    struct pgconn *c;
    struct arena arena; /* of the statements */
    const char *table;
    uint32_t serial; /* names of statements must differ */
};

static void on_state(struct pgconn *c, void *arg)
{
    (void)c;
    loop_stop(((struct asking *)arg)->loop);
}

/* "shop.accounts" becomes "shop"."accounts". */
static const char *quote_table(struct arena *a, const char *table)
{
    struct buf out = {0};
    buf_puts(&out, "\"");
    for (const char *s = table; *s != '\0'; s++) {
        if (*s == '.') {
            buf_puts(&out, "\".\"");
        } else {
            buf_put(&out, s, 1);
            if (*s == '"') {
                buf_put(&out, s, 1);
            }
        }
    }
    buf_puts(&out, "\"");
    char *text = arena_dup(a, out.data, out.len);
    buf_close(&out);
    return text;
}

static void on_count(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    (void)c;
    struct asking *q = arg;
    if (reply->ok) {
        say("  %-20s %s rows\n", q->table, pg_str(reply->results[0], 0, 0));
    } else {
        say("  %-20s %s\n", q->table, reply->error.text);
    }
    loop_stop(q->loop);
}

static void on_sample(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    (void)c;
    struct asking *q = arg;
    for (int i = 0; reply->ok && i < pg_rows(reply->results[0]); i++) {
        const char *row = pg_str(reply->results[0], i, 0);
        bool is_long = strlen(row) > SAMPLE_WIDTH;
        say("    %.*s%s\n", is_long ? SAMPLE_WIDTH - 4 : SAMPLE_WIDTH, row,
            is_long ? " ..." : "");
    }
    loop_stop(q->loop);
}

static void ask(struct asking *q, const char *sql, pgconn_fn fn)
{
    const struct pgstmt statement = {
        .name = arena_printf(&q->arena, "report_%u", q->serial++),
        .sql = sql,
    };
    if (pgconn_state(q->c) != PGCONN_IDLE) {
        return;
    }
    pgconn_add(q->c, &statement, NULL);
    pgconn_flush(q->c, PG_ANSWER_USEC, fn, q);
    loop_run(q->loop);
}

static void ask_about(struct asking *q, const char *table)
{
    const char *quoted = quote_table(&q->arena, table);
    q->table = table;
    ask(q, arena_printf(&q->arena, "SELECT count(*)::text FROM %s", quoted),
        on_count);
    ask(q,
        arena_printf(&q->arena,
                     "SELECT row_to_json(t)::text FROM %s t LIMIT %d", quoted,
                     SAMPLE_ROWS),
        on_sample);
}

static void print_tables(const struct plan *p, const char *url)
{
    struct asking q = {.loop = loop_new()};
    struct pgtarget target = {.conninfo = url,
                              .application_name = "tidemill dev",
                              .timeouts = DIAL_TIMEOUTS};
    arena_init(&q.arena, 0);
    q.c = pgconn_open(q.loop, &target, on_state, &q);
    while (pgconn_state(q.c) == PGCONN_CONNECTING ||
           pgconn_state(q.c) == PGCONN_SETTING_UP) {
        loop_run(q.loop);
    }
    if (pgconn_state(q.c) == PGCONN_DEAD) {
        say("  %s\n", pgconn_error(q.c)->text);
    }
    for (uint32_t i = 0; i < p->n_projections; i++) {
        ask_about(&q, p->projections[i].table);
    }
    pgconn_free(q.c);
    arena_close(&q.arena);
    loop_free(q.loop);
}

void dev_report_print(const struct plan *p, const struct page *page,
                      const char *url, double seconds)
{
    struct totals t;
    totals_read(page, &t);
    uint64_t events = t.counters[COUNT_EVENTS];
    say("\n%" PRIu64 " events in %.1f s: %.0f events/s, %" PRIu64
        " batches, %" PRIu64 " rows written\n\n",
        events, seconds, seconds > 0 ? (double)events / seconds : 0,
        t.counters[COUNT_BATCHES], t.counters[COUNT_ROWS_WRITTEN]);
    print_tables(p, url);
}

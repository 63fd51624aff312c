/* See publish.h. */
#include "flow/publish/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow/database/database.h"
#include "flow/rows/headers.h"
#include "flow/show/show.h"
#include "kafka/producer.h"
#include "model/deadlines.h"
#include "postgres/store/dead_letter.h"

enum { RECORDS_MOST = 200, OURS = 10 };
/* Under way at a time; the producer has a copy. */
static const uint64_t BYTES_MOST = 8 << 20;
static const usec PAUSE_USEC = 5 * 1000000ULL; /* after trouble */
static const usec LATE_USEC = 8 * 1000000ULL;

/* The columns of the question that become headers. */
static const struct {
    const char *name;
    int column;
} our_columns[] = {{"tidemill.state", 6},    {"tidemill.class", 7},
                   {"tidemill.sqlstate", 8}, {"tidemill.message", 9},
                   {"tidemill.script", 10},  {"tidemill.generation", 11}};
enum { OUR_COLUMNS = sizeof(our_columns) / sizeof(*our_columns) };

static void give_conn(struct publish *p, const struct pgreply *r)
{
    database_give(p->needs.database, &p->conn, &p->ticket,
                  r->ok ? NULL : &r->error, "dead letters");
}

static void show(struct publish *p, const char *why)
{
    char what[300];

    snprintf(what, sizeof(what),
             "dead letters stay in the table alone, %.80s: ",
             p->needs.plan->dead_letters.topic);
    show_reason(p->needs.show, REASON_LETTERS, what, why);
}

static void fail(struct publish *p, const struct err *e)
{
    p->needs.show->counts->errors[e->class]++;
    show(p, e->text);
    if (log_once(&p->logged, e->text)) {
        log_line(LOG_ERROR,
                 "dead letters cannot be produced; they stay in the table and "
                 "are tried again",
                 "topic=%s error=%s", p->needs.plan->dead_letters.topic,
                 log_quote(e->text));
    }
    if (p->producer && producer_is_over(p->producer)) {
        producer_free(p->producer);
        p->producer = NULL;
    }
    p->n = 0;
    p->is_due = false; /* an end does not wait for what does not go */
    p->look_at = loop_clock(p->needs.show->loop) + PAUSE_USEC;
}

static void log_refused(const struct publish *p, enum log_level level,
                        const char *what, const struct err *e)
{
    const struct record *rec = &p->records[0];

    log_line(level, what, "topic=%s letter=%s/%d/%" PRId64 " error=%s",
             p->needs.plan->dead_letters.topic, rec->topic, rec->partition,
             rec->offset, log_quote(e->text));
}

/* One of those that are under way is not what the topic takes, and would not be
 * the next time: it is looked for, and keeps no other from being produced. */
static void refuse(struct publish *p, const struct err *e)
{
    p->look_at = 0;
    p->is_due = true;
    if (p->n > 1) {
        p->most = p->n / 2;
        p->n = 0;
    } else if (!p->is_bare) {
        log_refused(p, LOG_WARN,
                    "a dead letter is produced without value and headers of "
                    "its record, since the topic does not take them",
                    e);
        p->is_bare = true;
        p->n = 0;
    } else { /* it counts as delivered */
        log_refused(p, LOG_ERROR,
                    "a dead letter is not produced, since the topic does not "
                    "take it; it stays in the table alone",
                    e);
    }
}

static struct record_header header(const char *name, const char *value)
{
    return (struct record_header){name, value, strlen(value)};
}

static uint32_t our_headers(struct publish *p, const struct pg_result *r,
                            int row, const struct record *rec,
                            struct record_header *out)
{
    struct arena *a = &p->arena;
    uint32_t n = 0;

    out[n++] = header("tidemill.topic", rec->topic);
    out[n++] =
        header("tidemill.partition", arena_printf(a, "%d", rec->partition));
    out[n++] =
        header("tidemill.offset", arena_printf(a, "%" PRId64, rec->offset));
    for (int i = 0; i < OUR_COLUMNS; i++) {
        const char *text = pg_str(r, row, our_columns[i].column);

        if (text[0]) {
            out[n++] = header(our_columns[i].name, text);
        }
    }
    if (p->is_bare) {
        out[n++] = header("tidemill.left_out", "value headers");
    }
    return n;
}

/* With room for ours behind them. */
static struct record_header *their_headers(struct publish *p,
                                           const struct pg_result *r, int row,
                                           uint32_t *n)
{
    struct arena *a = &p->arena;
    int len = 0;
    const char *json = pg_value(r, row, 5, &len);
    struct headers *theirs =
        headers_parse(json, (size_t)len, p->needs.decoder, a);
    struct record_header h, *list;

    for (*n = 0; headers_at(theirs, *n, &h);) {
        ++*n;
    }
    list = arena_alloc(a, (*n + OURS) * sizeof(*list));
    for (uint32_t i = 0; i < *n; i++) {
        headers_at(theirs, i, &list[i]);
    }
    return list;
}

static bool send(struct publish *p, const struct pg_result *r, int row,
                 struct record *rec, struct err *e)
{
    struct producer_record out = {.topic = p->needs.plan->dead_letters.topic,
                                  .partition = -1};
    struct record_header *list;
    int len = 0;

    rec->topic = arena_printf(&p->arena, "%s", pg_str(r, row, 0));
    rec->partition = (int32_t)pg_int(r, row, 1);
    rec->offset = pg_int(r, row, 2);
    out.key = pg_value(r, row, 3, &len);
    out.key_len = (size_t)len;
    list = p->is_bare ? arena_alloc(&p->arena, OURS * sizeof(*list))
                      : their_headers(p, r, row, &out.n_headers);
    out.headers = list;
    if (!p->is_bare) {
        out.value = pg_value(r, row, 4, &len);
        out.value_len = (size_t)len;
    }
    out.n_headers += our_headers(p, r, row, rec, list + out.n_headers);
    return producer_send(p->producer, &out, e);
}

/* Those before it are under way; it is the first of the next ones. */
static void not_taken(struct publish *p, const struct err *e)
{
    if (!producer_refuses(p->producer)) {
        fail(p, e);
    } else if (p->n == 0) {
        p->n = 1;
        refuse(p, e);
    }
}

static void on_found(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct publish *p = arg;
    uint32_t n = r->ok ? (uint32_t)pg_rows(r->results[0]) : 0;
    struct err e;

    (void)c;
    p->records = arena_alloc(&p->arena, (n + 1) * sizeof(*p->records));
    for (p->n = 0; p->n < n; p->n++) {
        if (!send(p, r->results[0], (int)p->n, &p->records[p->n], &e)) {
            not_taken(p, &e);
            break;
        }
    }
    p->sent_at = loop_clock(p->needs.show->loop);
    p->is_late = false;
    /* Until there is no more. */
    p->is_due |= p->look_at == 0 && (!r->ok || n > 0);
    p->look_at = n == 0 && p->look_at == 0
                     ? loop_clock(p->needs.show->loop) + LOOK_EVERY_USEC
                     : p->look_at;
    give_conn(p, r);
}

static void look(struct publish *p)
{
    struct err e;

    arena_reset(&p->arena);
    if (!p->producer) {
        p->producer = producer_new(p->needs.plan->source.brokers,
                                   p->needs.plan->source.options,
                                   p->needs.plan->source.n_options, &e);
    }
    if (!p->producer) {
        fail(p, &e);
        return;
    }
    p->conn = database_take_spare(p->needs.database, &p->ticket);
    if (p->conn) {
        p->look_at = 0;
        p->is_due = false;
        dead_letter_ask_unpublished(
            p->conn, p->needs.plan, p->needs.owner,
            (struct dead_letter_most){.n = p->is_bare ? 1
                                           : p->most  ? p->most
                                                      : RECORDS_MOST,
                                      .bytes = BYTES_MOST});
        pgconn_flush(p->conn, PG_ANSWER_USEC, on_found, p);
    }
}

/* They are not produced once more as long as this run lasts; their note is tried
 * again. */
static void not_noted(struct publish *p, const struct err *e)
{
    struct err named;

    p->needs.explain(p->needs.arg, e, &named);
    p->look_at = loop_clock(p->needs.show->loop) + LOOK_EVERY_USEC;
    if (p->is_stopping) {
        p->n = 0;
        p->is_due = false;
    }
    if (log_once(&p->logged_unnoted, named.text)) {
        log_line(LOG_ERROR,
                 "dead letters were produced, and that cannot be noted; the "
                 "next run produces them once more",
                 "letters=%u error=%s", p->n, log_quote(named.text));
    }
}

static void on_noted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct publish *p = arg;

    (void)c;
    if (!r->ok && !database_is_away(&r->error)) {
        not_noted(p, &r->error);
    }
    if (r->ok) {
        p->logged_unnoted.at = 0;
        p->n = 0;
        p->is_bare = false;
        p->most = p->most < RECORDS_MOST / 2 ? 2 * p->most : 0;
    }
    give_conn(p, r);
}

/* librdkafka gives them up later, and its words may say more. */
static void look_late(struct publish *p, usec now)
{
    static const char why[] =
        "Kafka does not take them yet: do its brokers answer, and has each "
        "partition of the topic a leader?";

    if (p->is_late || now < p->sent_at + LATE_USEC) {
        return;
    }
    p->is_late = true;
    show(p, why);
    log_line(LOG_WARN, "dead letters wait to be produced",
             "topic=%s records=%u why=%s", p->needs.plan->dead_letters.topic,
             p->n, log_quote(why));
}

static void went(struct publish *p)
{
    p->logged.at = 0;
    show_reason(p->needs.show, REASON_LETTERS, "", "");
}

/* All that were sent are delivered, or are sent again later. */
static void note(struct publish *p, usec now)
{
    struct err e;

    if (producer_waiting(p->producer) > 0) {
        look_late(p, now);
        return;
    }
    if (producer_failed(p->producer, &e) > 0) {
        (producer_refuses(p->producer) ? refuse : fail)(p, &e);
        return;
    }
    went(p);
    p->conn = database_take(p->needs.database, &p->ticket);
    if (p->conn) {
        dead_letter_published(p->conn, p->needs.plan, p->records, p->n);
        pgconn_flush(p->conn, PG_ANSWER_USEC, on_noted, p);
    }
}

void publish_open(struct publish *p, const struct publish_needs *n)
{
    p->needs = *n;
}

void publish_follow(struct publish *p, const struct plan *plan,
                    struct decoder *d)
{
    p->needs.plan = plan;
    p->needs.decoder = d;
}

void publish_due(struct publish *p)
{
    p->is_due = p->needs.plan->dead_letters.topic != NULL;
}

bool publish_is_done(const struct publish *p)
{
    return !p->is_due && !p->conn && p->n == 0;
}

void publish_tick(struct publish *p, bool is_stopping, usec now)
{
    p->is_stopping = is_stopping;
    if (!p->needs.plan->dead_letters.topic || p->conn) {
        return;
    }
    bool is_time = now >= p->look_at;

    if (p->n > 0 && (is_time || p->is_stopping)) {
        note(p, now);
    } else if (p->n == 0 && (p->is_stopping ? p->is_due : is_time)) {
        look(p);
    }
}

void publish_close(struct publish *p)
{
    producer_free(p->producer);
    arena_close(&p->arena);
}

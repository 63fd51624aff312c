/* See database.h. */
#include "flow/engine/database.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/retry.h"
#include "flow/engine/address.h"
#include "flow/engine/engine.h"
#include "flow/engine/progress.h"

void database_init(struct engine *g)
{
    const struct plan_breaker *p = &g->plan->database.breaker;
    struct breaker_limits limits = {.window = p->window,
                                    .failures = p->failures,
                                    .ratio = p->ratio,
                                    .open = p->open_ms * 1000ULL,
                                    .open_max = p->open_max_ms * 1000ULL};

    breaker_init(&g->database.breaker, &limits);
}

/* A statement that took too long may be one record's doing: the database has
 * answered, and the failure rule looks for the record. */
bool database_is_away(const struct err *e)
{
    return (e->class == ERR_CONNECTION || e->class == ERR_RESOURCE ||
            e->class == ERR_SERVER) &&
           strcmp(e->sqlstate, "57014") != 0;
}

/* Work that is there ends by itself what it said; without any, the next answer
 * does, to whatever was asked. */
void database_show(struct engine *g, const char *why)
{
    bool is_ready = g->is_ready || g->database.is_shown;

    progress_waits(g, "database: ", why);
    g->database.is_shown = is_ready;
}

/* Says why work waits while the breaker is not closed. */
static void tell(struct engine *g)
{
    const struct breaker *k = &g->database.breaker;
    uint32_t n = k->n_failed > k->in_a_row ? k->n_failed : k->in_a_row;
    usec now = clock_usec();
    char text[240];

    if (k->state == BREAKER_OPEN) {
        snprintf(text, sizeof(text),
                 "circuit breaker open after %u failures, next try in %.1f s: "
                 "%.160s",
                 n, k->until > now ? (double)(k->until - now) / 1e6 : 0,
                 g->database.error.text);
    } else {
        snprintf(text, sizeof(text),
                 "circuit breaker half-open after %u failures, trying again: "
                 "%.160s",
                 n, g->database.error.text);
    }
    database_show(g, text);
}

static void show(struct engine *g)
{
    g->counts->gauges[GAUGE_BREAKER] = g->database.breaker.state;
    if (g->database.breaker.state != BREAKER_CLOSED) {
        tell(g);
    }
}

static void has_opened(struct engine *g, const char *what)
{
    const struct breaker *k = &g->database.breaker;
    const struct err *e = &g->database.error;

    g->database.failures = 0;
    g->database.retry_at = 0;
    pgpool_rest(g->pool);
    if (k->n_opened == 1) {
        g->counts->counters[COUNT_BREAKER_OPENS]++;
        log_line(LOG_ERROR,
                 "the circuit breaker of the database opened; nothing is asked "
                 "of it for a while, then one small batch is tried",
                 "during=%s class=%s sqlstate=%s failures=%u retry_ms=%d "
                 "error=%s",
                 what, err_class_name(e->class),
                 e->sqlstate[0] ? e->sqlstate : "-", k->n_failed,
                 (int)((k->until - k->now) / 1000), log_quote(e->text));
    }
    show(g);
}

static void back_off(struct engine *g, usec now, const char *what)
{
    struct database *d = &g->database;
    const struct plan_retry *retry = &g->plan->database.retry;
    usec delay = retry_delay(++d->failures, retry->floor_ms * 1000ULL,
                             retry->cap_ms * 1000ULL, (uint32_t)now);

    d->retry_at = now + delay;
    log_line(LOG_WARN, "the database is in trouble; trying again",
             "during=%s class=%s sqlstate=%s retry_ms=%d error=%s", what,
             err_class_name(d->error.class),
             d->error.sqlstate[0] ? d->error.sqlstate : "-",
             (int)(delay / 1000), log_quote(d->error.text));
    database_show(g, d->error.text);
}

/* A write was refused as read-only: this server was demoted, and what else is
 * connected to it is of no more use. */
static void leave_server(struct engine *g, const struct err *e)
{
    if (e->class == ERR_SERVER) {
        pgpool_rest(g->pool);
    }
}

void database_failed(struct engine *g, uint32_t *ticket, const struct err *e,
                     const char *what)
{
    struct database *d = &g->database;
    usec now = clock_usec();
    uint32_t mine = *ticket;

    if (mine == 0) {
        return;
    }
    *ticket = 0;
    d->error = *e;
    leave_server(g, e);
    if (d->breaker.state == BREAKER_CLOSED && now < d->retry_at) {
        breaker_withdrawn(&d->breaker, mine);
    } else if (breaker_failed(&d->breaker, mine, now, (uint32_t)now)) {
        has_opened(g, what);
    } else if (d->breaker.state == BREAKER_CLOSED) {
        back_off(g, now, what);
    }
}

void database_answered(struct engine *g, uint32_t *ticket)
{
    struct database *d = &g->database;
    usec since = d->breaker.opened_at;
    uint32_t mine = *ticket;

    if (mine == 0) {
        return;
    }
    *ticket = 0;
    d->failures = 0;
    d->retry_at = 0;
    if (breaker_succeeded(&d->breaker, mine)) {
        log_line(LOG_INFO,
                 "the circuit breaker of the database closed: it answers again",
                 "open_ms=%llu",
                 (unsigned long long)((clock_usec() - since) / 1000));
        show(g);
    }
    if (d->is_shown && d->breaker.state == BREAKER_CLOSED) {
        progress_ready(g);
    }
}

void database_withdraw(struct engine *g, uint32_t *ticket)
{
    breaker_withdrawn(&g->database.breaker, *ticket);
    *ticket = 0;
}

void database_told(struct engine *g, uint32_t *ticket, const struct err *e,
                   const char *what)
{
    if (database_is_away(e)) {
        database_failed(g, ticket, e, what);
    } else {
        database_answered(g, ticket);
    }
}

bool database_allows(struct engine *g)
{
    usec now = clock_usec();

    return now >= g->database.retry_at &&
           breaker_allows(&g->database.breaker, now);
}

/* Work waits for a connection, and the pool could not make one: a failure
 * whatever its class is, since nothing can be done without. */
static void note_pool(struct engine *g)
{
    const struct err *e = pgpool_error(g->pool);
    uint32_t n = pgpool_failures(g->pool);
    bool is_news = n != g->database.n_not_opened;

    g->database.n_not_opened = n;
    if (is_news && e->class != ERR_NONE) {
        g->counts->errors[e->class]++;
        if (!address_renew(g, e)) {
            uint32_t ticket = breaker_try(&g->database.breaker);

            database_failed(g, &ticket, e, "connect");
        }
    }
}

struct pgconn *database_take(struct engine *g, uint32_t *ticket)
{
    struct pgconn *c;

    if (!database_allows(g)) {
        return NULL;
    }
    c = pgpool_take(g->pool);
    if (c) {
        *ticket = breaker_try(&g->database.breaker);
    } else {
        note_pool(g);
    }
    return c;
}

struct pgconn *database_take_spare(struct engine *g, uint32_t *ticket)
{
    return g->database.breaker.state == BREAKER_CLOSED
               ? database_take(g, ticket)
               : NULL;
}

void database_give(struct engine *g, struct pgconn **c, uint32_t *ticket,
                   const struct err *e, const char *what)
{
    if (e) {
        g->counts->errors[e->class]++;
        database_told(g, ticket, e, what);
    } else {
        database_answered(g, ticket);
    }
    pgpool_give(g->pool, *c);
    *c = NULL;
}

void database_probe(struct engine *g)
{
    bool has_work = g->free.n < g->n_batches || g->claim.conn ||
                    (g->source && source_inbox_bytes(g->source) > 0);
    uint32_t ticket = 0;
    struct pgconn *c;

    if (has_work || g->database.breaker.state == BREAKER_CLOSED) {
        return;
    }
    c = database_take(g, &ticket);
    if (c) {
        pgpool_give(g->pool, c);
        database_answered(g, &ticket);
        progress_ready(g);
    }
}

void database_tick(struct engine *g)
{
    show(g);
}

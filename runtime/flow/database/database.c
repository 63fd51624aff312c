/* See database.h. */
#include "flow/database/database.h"

#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"

void database_open(struct database *d, const struct database_needs *n)
{
    const struct plan_breaker *p = &n->plan->database.breaker;
    struct breaker_limits limits = {.window = p->window,
                                    .failures = p->failures,
                                    .ratio = p->ratio,
                                    .open = p->open_ms * 1000ULL,
                                    .open_max = p->open_max_ms * 1000ULL};

    *d = (struct database){
        .loop = n->loop,
        .plan = n->plan,
        .show = n->show,
        .address = {.bundle = n->bundle,
                    .heartbeat = &n->show->counts->heartbeat_usec}};
    d->pool =
        pgpool_new(n->loop, &n->plan->database, "tidemill", n->wake, n->arg);
    random_seed(&d->random, n->seed);
    breaker_init(&d->breaker, &limits);
}

void database_follow(struct database *d, const struct plan *p,
                     const struct bundle *bundle)
{
    d->plan = p;
    d->address.bundle = bundle;
}

void database_close(struct database *d)
{
    pgpool_free(d->pool);
}

/* A statement that took too long may be one record's doing: the database has
 * answered, and the failure rule looks for the record. */
bool database_is_away(const struct err *e)
{
    return (e->class == ERR_CONNECTION || e->class == ERR_RESOURCE ||
            e->class == ERR_SERVER) &&
           strcmp(e->sqlstate, "57014") != 0;
}

/* Says why work waits while the breaker is not closed. */
static void tell(struct database *d)
{
    const struct breaker *k = &d->breaker;
    uint32_t n = k->n_failed > k->in_a_row ? k->n_failed : k->in_a_row;
    usec now = loop_clock(d->loop);
    char text[240];

    if (k->state == BREAKER_OPEN) {
        snprintf(text, sizeof(text),
                 "circuit breaker open after %u failures, next try in %.1f s: "
                 "%.160s",
                 n, k->until > now ? (double)(k->until - now) / 1e6 : 0,
                 d->error.text);
    } else {
        snprintf(text, sizeof(text),
                 "circuit breaker half-open after %u failures, trying again: "
                 "%.160s",
                 n, d->error.text);
    }
    show_trouble(d->show, text);
}

static void show(struct database *d)
{
    d->show->counts->gauges[GAUGE_BREAKER] = d->breaker.state;
    if (d->breaker.state != BREAKER_CLOSED) {
        tell(d);
    }
}

static void has_opened(struct database *d, const char *what)
{
    const struct breaker *k = &d->breaker;
    const struct err *e = &d->error;

    d->failures = 0;
    d->retry_at = 0;
    pgpool_rest(d->pool);
    if (k->n_opened == 1) {
        d->show->counts->counters[COUNT_BREAKER_OPENS]++;
        log_line(LOG_ERROR,
                 "the circuit breaker of the database opened; nothing is asked "
                 "of it for a while, then one small batch is tried",
                 "during=%s class=%s sqlstate=%s failures=%u retry_ms=%d "
                 "error=%s",
                 what, err_class_name(e->class),
                 e->sqlstate[0] ? e->sqlstate : "-", k->n_failed,
                 (int)((k->until - k->now) / 1000), log_quote(e->text));
    }
    show(d);
}

static void back_off(struct database *d, usec now, const char *what)
{
    const struct plan_retry *retry = &d->plan->database.retry;
    usec delay =
        backoff_delay(++d->failures, retry->floor_ms * 1000ULL,
                      retry->cap_ms * 1000ULL, random_next(&d->random));

    d->retry_at = now + delay;
    log_line(LOG_WARN, "the database is in trouble; trying again",
             "during=%s class=%s sqlstate=%s retry_ms=%d error=%s", what,
             err_class_name(d->error.class),
             d->error.sqlstate[0] ? d->error.sqlstate : "-",
             (int)(delay / 1000), log_quote(d->error.text));
    show_trouble(d->show, d->error.text);
}

/* A write was refused as read-only: this server was demoted, and what else is
 * connected to it is of no more use. */
static void leave_server(struct database *d, const struct err *e)
{
    if (e->class == ERR_SERVER) {
        pgpool_rest(d->pool);
    }
}

void database_failed(struct database *d, uint32_t *ticket, const struct err *e,
                     const char *what)
{
    usec now = loop_clock(d->loop);
    uint32_t mine = *ticket;

    if (mine == 0) {
        return;
    }
    *ticket = 0;
    d->error = *e;
    leave_server(d, e);
    if (d->breaker.state == BREAKER_CLOSED && now < d->retry_at) {
        breaker_withdrawn(&d->breaker, mine);
    } else if (breaker_failed(&d->breaker, mine, now,
                              random_next(&d->random))) {
        has_opened(d, what);
    } else if (d->breaker.state == BREAKER_CLOSED) {
        back_off(d, now, what);
    }
}

void database_answered(struct database *d, uint32_t *ticket)
{
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
                 (unsigned long long)((loop_clock(d->loop) - since) / 1000));
        show(d);
    }
    if (d->breaker.state == BREAKER_CLOSED) {
        show_trouble_over(d->show);
    }
}

void database_withdraw(struct database *d, uint32_t *ticket)
{
    breaker_withdrawn(&d->breaker, *ticket);
    *ticket = 0;
}

void database_outcome(struct database *d, uint32_t *ticket, const struct err *e,
                      const char *what)
{
    if (database_is_away(e)) {
        database_failed(d, ticket, e, what);
    } else {
        database_answered(d, ticket);
    }
}

bool database_allows(struct database *d)
{
    usec now = loop_clock(d->loop);

    return now >= d->retry_at && breaker_allows(&d->breaker, now);
}

const struct err *database_not_opened(struct database *d)
{
    const struct err *e = pgpool_error(d->pool);
    uint32_t n = pgpool_failures(d->pool);
    bool is_news = n != d->n_not_opened && e->class != ERR_NONE;

    d->n_not_opened = n;
    if (!is_news) {
        return NULL;
    }
    d->show->counts->errors[e->class]++;
    return e;
}

/* Work waits for a connection, and the pool could not make one: a failure
 * whatever its class is, since nothing can be done without. */
static void note_pool(struct database *d)
{
    const struct err *e = database_not_opened(d);

    if (e && !address_renew(&d->address, d->pool, e, loop_clock(d->loop))) {
        uint32_t ticket = breaker_try(&d->breaker);

        database_failed(d, &ticket, e, "connect");
    }
}

struct pgconn *database_take(struct database *d, uint32_t *ticket)
{
    struct pgconn *c;

    if (!database_allows(d)) {
        return NULL;
    }
    c = pgpool_take(d->pool);
    if (c) {
        *ticket = breaker_try(&d->breaker);
    } else {
        note_pool(d);
    }
    return c;
}

struct pgconn *database_take_spare(struct database *d, uint32_t *ticket)
{
    return d->breaker.state == BREAKER_CLOSED ? database_take(d, ticket) : NULL;
}

void database_give(struct database *d, struct pgconn **c, uint32_t *ticket,
                   const struct err *e, const char *what)
{
    if (e) {
        d->show->counts->errors[e->class]++;
        database_outcome(d, ticket, e, what);
    } else {
        database_answered(d, ticket);
    }
    database_release(d, c);
}

void database_release(struct database *d, struct pgconn **c)
{
    if (*c) {
        pgpool_give(d->pool, *c);
        *c = NULL;
    }
}

void database_probe(struct database *d)
{
    uint32_t ticket = 0;
    struct pgconn *c;

    if (d->breaker.state == BREAKER_CLOSED) {
        return;
    }
    c = database_take(d, &ticket);
    if (c) {
        database_release(d, &c);
        database_answered(d, &ticket);
        show_ready(d->show);
    }
}

void database_tick(struct database *d)
{
    show(d);
}

/* See outcome.h. */
#include "flow/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow/lease.h"
#include "flow/progress.h"
#include "flow/retry.h"

enum {
    CONFLICTS_AT_ONCE = 3, /* then with a back-off */
    BLIND_AT_MOST = 3,     /* then the row that is updated is not there */
    FENCED_PAUSE_USEC = 500000,
    SCHEMA_FLOOR_USEC = 1000000,
    SCHEMA_CAP_USEC = 30000000
};

static void give_conn(struct batch *b)
{
    if (b->conn) {
        pgpool_give(b->engine->pool, b->conn);
        b->conn = NULL;
    }
}

static void halt_failed(struct batch *b, const struct lease *l)
{
    const struct record *rec = &b->records[l->failed];
    const char *reason = b->events.reasons[l->failed];
    struct err e;

    b->engine->counts->errors[l->failed_class]++;
    err_set(&e, l->failed_class, "%s/%d offset %" PRId64 ": %s", rec->topic,
            rec->partition, rec->offset, reason ? reason : "cannot be read");
    engine_halt(b->engine, l->lane, &e);
}

static void settle_lane(struct batch *b, const struct lease *l)
{
    struct engine *g = b->engine;
    uint32_t good = batch_n_good(b, l);

    if (!l->lane->is_assigned || l->lane->needs_claim) {
        return;
    }
    l->lane->position = l->end;
    source_done(g->source, l->lane, good);
    l->lane->waiting_since = l->lane->inbox.count ? clock_usec() : 0;
    lease_cleared(l->lane, good);
    if (l->failed >= 0) {
        halt_failed(b, l);
    }
}

void outcome_committed(struct batch *b)
{
    struct engine *g = b->engine;

    give_conn(b);
    for (uint32_t i = 0; i < b->n_leases; i++) {
        settle_lane(b, &b->leases[i]);
    }
    if (batch_total_good(b) > 0) {
        progress_batch(g, b);
    }
    database_answered(g, &b->ticket);
    g->troubles = 0;
    progress_ready(g);
    engine_release(b);
}

static void again(struct batch *b, usec delay)
{
    give_conn(b);
    b->engine->counts->counters[COUNT_BATCH_RETRIES]++;
    b->retry_at = clock_usec() + delay;
    engine_move(b, BATCH_WAITING);
}

void outcome_again(struct batch *b)
{
    again(b, 0);
}

static void conflict(struct batch *b, const struct err *e)
{
    b->attempts++;
    log_line(LOG_DEBUG, "lost a race; the batch is done again", "reason=%s",
             log_quote(e->text));
    again(b, b->attempts <= CONFLICTS_AT_ONCE
                 ? 0
                 : retry_delay(b->attempts - CONFLICTS_AT_ONCE, 5000, 1000000,
                               (uint32_t)clock_usec()));
}

/* TM001: the statement's index tells the lane. */
static void fenced(struct batch *b, const struct pgreply *reply)
{
    int at = 1;

    b->engine->counts->counters[COUNT_FENCED]++;
    /* Two owners that both believe in themselves must not fence each other in
     * a loop: Kafka tells one of them soon. */
    b->engine->claim.retry_at = clock_usec() + FENCED_PAUSE_USEC;
    for (uint32_t i = 0; i < b->n_leases; i++) {
        struct lease *l = &b->leases[i];

        if (l->end > l->start && at++ == reply->failed) {
            log_line(LOG_WARN,
                     "lane was claimed elsewhere or moved; claiming it again",
                     "lane=%s/%d position=%" PRId64 " epoch=%" PRId64,
                     l->lane->topic, l->lane->partition, l->start, l->epoch);
            l->lane->needs_claim = true;
        }
    }
    give_conn(b);
    engine_release(b);
}

/* Redo lane by lane, then in halves: healthy records commit, in order, and the
 * one that the database refuses halts its lane alone. */
static void isolate(struct batch *b, const struct err *e)
{
    bool alone = b->n_leases == 1;

    give_conn(b);
    for (uint32_t i = 0; i < b->n_leases; i++) {
        struct lease *l = &b->leases[i];
        uint32_t good = batch_n_good(b, l);

        if (good > 0 && !lease_suspect(l->lane, good, alone)) {
            struct err named = *e;

            err_wrap(&named, "%s/%d offset %" PRId64, l->lane->topic,
                     l->lane->partition, b->records[l->first].offset);
            engine_halt(b->engine, l->lane, &named);
        }
    }
    b->engine->counts->counters[COUNT_BATCH_RETRIES]++;
    engine_release(b);
}

/* A record that changes only some columns (a large one was left alone) found
 * no row to change, again and again: nobody else's doing. */
static void no_such_row(struct batch *b, const struct err *e)
{
    struct err named;

    if (strcmp(e->sqlstate, "TM002") != 0) {
        conflict(b, e);
        return;
    }
    err_set(&named, ERR_DATA,
            "the record changes a part of a row that is not there: a NOT NULL "
            "column is neither in the record nor in the table");
    isolate(b, &named);
}

/* Someone must change the database or the pipeline; until then the lanes wait
 * and look again now and then. */
static void halt_for_a_while(struct batch *b, const struct err *e)
{
    struct engine *g = b->engine;
    usec delay = retry_delay(++g->troubles, SCHEMA_FLOOR_USEC, SCHEMA_CAP_USEC,
                             (uint32_t)clock_usec());

    give_conn(b);
    for (uint32_t i = 0; i < b->n_leases; i++) {
        struct lane *lane = b->leases[i].lane;

        lane->retry_at = clock_usec() + delay;
        engine_halt(g, lane, e);
    }
    engine_release(b);
}

/* While the breaker is open its records wait in their inboxes, so that a small
 * batch of them can be tried first. */
static void back_off(struct batch *b, const struct err *e)
{
    struct engine *g = b->engine;
    const struct plan_retry *retry = &g->plan->database.retry;
    usec now = clock_usec();

    if (g->database.breaker.state != BREAKER_CLOSED) {
        give_conn(b);
        engine_release(b);
        return;
    }
    progress_waits(g, "database: ", e->text);
    again(b, retry_delay(++b->attempts, retry->floor_ms * 1000ULL,
                         retry->cap_ms * 1000ULL, (uint32_t)now));
}

static void by_class(struct batch *b, const struct err *e,
                     const struct pgreply *reply)
{
    switch (e->class) {
    case ERR_CONFLICT:
        if (b->is_blind && b->attempts >= BLIND_AT_MOST) {
            no_such_row(b, e);
        } else {
            conflict(b, e);
        }
        break;
    case ERR_FENCED:
        fenced(b, reply);
        break;
    case ERR_DATA:
    case ERR_SCRIPT:
        isolate(b, e);
        break;
    case ERR_CONNECTION:
    case ERR_RESOURCE:
    case ERR_SERVER:
        back_off(b, e);
        break;
    default:
        halt_for_a_while(b, e);
    }
}

static bool is_unknown(const struct pgreply *reply)
{
    return reply->commit_sent && !reply->commit_rolled_back &&
           (reply->failed < 0 || reply->error.class == ERR_CONNECTION ||
            strcmp(reply->error.sqlstate, "40003") == 0);
}

void outcome_failed(struct batch *b, const struct pgreply *reply)
{
    struct engine *g = b->engine;

    g->counts->errors[reply->error.class]++;
    database_told(g, &b->ticket, &reply->error,
                  reply->commit_sent ? "commit" : "batch");
    if (is_unknown(reply)) {
        g->counts->counters[COUNT_COMMIT_UNKNOWN]++;
        give_conn(b);
        engine_move(b, BATCH_RESOLVING);
    } else if (reply->commit_rolled_back) {
        conflict(b, &reply->error);
    } else {
        by_class(b, &reply->error, reply);
    }
}

void outcome_refused(struct batch *b, const struct err *e)
{
    b->engine->counts->errors[e->class]++;
    by_class(b, e, NULL);
}

void outcome_still_unknown(struct batch *b, const struct err *e)
{
    /* Whatever the reason: it is asked again, and not at once. */
    database_failed(b->engine, &b->ticket, e, "commit");
    give_conn(b);
    engine_move(b, BATCH_RESOLVING);
}

/* The transaction is atomic: any lane that it would have moved tells. */
static int verdict(const struct batch *b, const struct position *at)
{
    for (uint32_t i = 0; i < b->n_leases; i++) {
        const struct lease *l = &b->leases[i];

        if (l->end > l->start && at[i].found && l->lane->is_assigned) {
            return at[i].next_offset == l->end     ? 1
                   : at[i].next_offset == l->start ? 0
                                                   : -1;
        }
    }
    return -1;
}

void outcome_resolved(struct batch *b, const struct position *at)
{
    int committed = verdict(b, at);

    database_answered(b->engine, &b->ticket);
    for (uint32_t i = 0; i < b->n_leases; i++) {
        b->leases[i].epoch = b->leases[i].lane->epoch = at[i].epoch;
        b->leases[i].lane->needs_claim |= committed < 0;
    }
    log_line(LOG_INFO, "an unknown COMMIT is known", "outcome=%s events=%u",
             committed > 0    ? "committed"
             : committed == 0 ? "redo"
                              : "moved",
             batch_total_good(b));
    if (committed > 0) {
        outcome_committed(b);
    } else if (committed == 0) {
        again(b, 0);
    } else {
        give_conn(b);
        engine_release(b);
    }
}

/* See outcome.h. */
#include "flow/run/outcome.h"

#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/generation/compared.h"
#include "flow/run/compare.h"
#include "flow/run/conflict.h"
#include "flow/run/fence.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "flow/run/row_cache.h"
#include "flow/run/rule.h"
#include "flow/show/show.h"
#include "model/deadlines.h"
#include "postgres/wire/sqlstate.h"

enum {
    COMPARED_AT_ONCE = 3, /* then the tables change all the time */
    NO_MEMORY_AT_MOST = 5 /* then it is the one record that takes it */
};

struct next outcome_wait(struct batch *b)
{
    const struct letter *why = &b->failures.letters[b->failures.waits_for];
    usec delay =
        b->failures.wait_ms < 0
            ? backoff_delay(b->tries.n_failed + 1, BACKOFF_FLOOR_USEC,
                            BACKOFF_CAP_USEC, worker_random(b->run->worker))
            : (usec)b->failures.wait_ms * 1000;
    struct err e;

    err_set(&e, why->class, "%s", why->reason);
    return rule_asks_again(b, &e, b->failures.waits_for, delay);
}

/* Were rows of its topic written since the search began? */
static bool goes_on_without(const struct batch *b)
{
    const struct lane *ours = b->input.leases[0].lane;

    for (struct lane *l = b->run->worker->lanes.first; l; l = l->after) {
        if (l->topic_index == ours->topic_index &&
            l->wrote_at > ours->search.since) {
            return true;
        }
    }
    return false;
}

/* Do the tables have what answers so for a record: a policy, or a type that
 * Tidemill does not know? Some of these refuse a text as a syntax error, and
 * some by no code at all. */
static bool is_like_a_record(const struct generation *n, const struct err *e)
{
    bool is_input =
        strcmp(e->sqlstate, "42601") == 0 || strcmp(e->sqlstate, "XX000") == 0;

    for (uint32_t i = 0; is_input && i < n->plan->n_projections; i++) {
        if (n->tables.facts.tables[i].casts) {
            return true;
        }
    }
    return n->tables.hides && strcmp(e->sqlstate, "42501") == 0;
}

/* A right that is missing or a table that is damaged may be so for one record: a
 * policy of row-level security, or code in the database, may answer so to a
 * single one. So it is searched for first. The tables are as compared, rights
 * included. A letter that is tried again stays one. */
static bool is_tried_alone(struct batch *b, const struct err *e,
                           struct err *named)
{
    struct lane *lane = b->input.leases[0].lane;
    uint32_t event, n = batch_applied(b, &event);

    if (n == 0 || e->is_right || !sqlstate_may_be_one(e->sqlstate)) {
        return false;
    }
    *named = *e;
    named->class = ERR_DATA;
    if (n == 1 && !lane->search.since) {
        lane->search.since = worker_now(b->run->worker);
    }
    return n > 1 || !b->kind->holds_lanes || goes_on_without(b) ||
           is_like_a_record(b->generation, e);
}

static struct next by_class(struct batch *b, const struct err *e,
                            const struct pgreply *reply)
{
    struct err named;

    if (e->class == ERR_FENCED) {
        return fence_failed(b, reply->failed);
    }
    if (compared_is_unkept(b->generation, e, &named)) {
        /* No record is to blame, but only lanes that need it wait. */
        return b->input.n_leases > 1 ? isolate_parts(b)
                                     : rule_failed(b, &named);
    }
    if (conflict_is_cancel(b, e)) {
        return conflict_retry(b, e, -1);
    }
    if (conflict_is_none(b, e, &named) || is_tried_alone(b, e, &named)) {
        return rule_failed(b, &named);
    }
    return rule_failed(b, e);
}

/* ---- tables that changed ---- */

/* The server says of TM003 only that a condition failed. */
static const char *change_text(const struct err *e)
{
    return strcmp(e->sqlstate, "TM003") == 0
               ? "tables of the pipeline were changed (DDL) since they were "
                 "compared; they are compared again"
               : e->text;
}

static struct next again_compared(struct batch *b, const struct err *e)
{
    if (b->tries.n_failed == COMPARED_AT_ONCE) {
        log_line(LOG_WARN, "tables change again and again",
                 "lane=%s/%d lanes=%u error=%s", b->input.leases[0].lane->topic,
                 b->input.leases[0].lane->partition, b->input.n_leases,
                 log_quote(change_text(e)));
    }
    if (b->tries.n_failed >= COMPARED_AT_ONCE) {
        show_waits(&b->run->worker->show, "database: ", change_text(e));
    }
    return next_again(
        b->tries.n_failed++ < COMPARED_AT_ONCE ? 0 : BACKOFF_CAP_USEC);
}

/* No record is blamed for what a change of its table did: the tables are asked
 * first. NEXT_ON: they cannot be why, or cannot be asked. */
static struct next compares_first(struct batch *b, const struct err *e)
{
    if (e && e->class != ERR_DATA && e->class != ERR_SCRIPT) {
        return next_is(NEXT_ON);
    }
    if (compare_is_outdated(b)) {
        return next_again(0);
    }
    b->tables.failed_with =
        e ? (struct err *)arena_dup(&b->memory.loaded, (const char *)e,
                                    sizeof(*e))
          : NULL;
    return compare_before_blame(b) ? next_ask(BATCH_DOUBTING)
                                   : next_is(NEXT_ON);
}

struct next outcome_undoubted(struct batch *b)
{
    return b->tables.failed_with ? by_class(b, b->tables.failed_with, NULL)
                                 : next_is(NEXT_COMMITTED);
}

static struct next by_cause(struct batch *b, const struct err *e,
                            const struct pgreply *reply)
{
    struct next n = compares_first(b, e);

    return n.kind == NEXT_ON ? by_class(b, e, reply) : n;
}

/* ---- what the database said ---- */

static bool is_unknown(const struct pgreply *reply)
{
    return reply->commit_sent && !reply->commit_rolled_back &&
           (reply->failed < 0 || reply->error.class == ERR_CONNECTION ||
            strcmp(reply->error.sqlstate, "40003") == 0);
}

static struct next resolve(struct batch *b)
{
    b->run->worker->show.counts->counters[COUNT_COMMIT_UNKNOWN]++;
    b->resolve.n_asked = 0;
    b->tries.retry_at = 0;
    return next_is(NEXT_RESOLVE);
}

/* Less at a time may fit. A record that does not fit alone is to blame: at once
 * where we set the bound, else once it is no passing want of memory. NEXT_ON: it
 * is another failure. */
static struct next too_much(struct batch *b, const struct pgreply *reply)
{
    struct err e = reply->error;
    struct next n = next_is(NEXT_ON);

    if (reply->is_too_large) {
        n = isolate_narrow(b, &e);
    }
    if (!reply->is_too_large || n.kind != NEXT_ON ||
        (!reply->is_over && b->tries.n_failed < NO_MEMORY_AT_MOST)) {
        return n;
    }
    e.class = ERR_DATA;
    return rule_failed(b, &e);
}

static void tell_database(struct batch *b, const struct pgreply *reply)
{
    if (reply->is_over) {
        database_answered(&b->run->worker->database, &b->attempt.ticket);
    } else {
        database_outcome(&b->run->worker->database, &b->attempt.ticket,
                         &reply->error,
                         reply->commit_sent ? "commit" : "batch");
    }
}

struct next outcome_failed(struct batch *b, const struct pgreply *reply)
{
    const struct err *e = &reply->error;
    struct page_worker *counts = b->run->worker->show.counts;
    struct next n;

    counts->errors[e->class]++;
    tell_database(b, reply);
    if (is_unknown(reply)) {
        return resolve(b);
    }
    n = too_much(b, reply);
    if (n.kind != NEXT_ON) {
        return n;
    }
    if (compare_explains(b, e)) {
        return again_compared(b, e);
    }
    if (row_cache_must_repeat(b, e)) {
        counts->counters[COUNT_CACHE_STALE] +=
            strcmp(e->sqlstate, "TM002") == 0;
        return next_again(0);
    }
    if (b->attempt.kind == ATTEMPT_PROOF && e->class == ERR_DATA) {
        /* What a trigger read there may be older than the record. */
        return conflict_not_proven(b);
    }
    return reply->commit_rolled_back ? rule_failed(b, e)
                                     : by_cause(b, e, reply);
}

/* ---- what we refuse ---- */

struct next outcome_refused(struct batch *b, const struct err *e)
{
    if (row_cache_must_repeat(b, e)) {
        return next_again(0);
    }
    b->run->worker->show.counts->errors[e->class]++;
    return compare_explains(b, e) ? again_compared(b, e) : by_cause(b, e, NULL);
}

struct next outcome_too_much(struct batch *b, const struct err *e)
{
    struct next n = isolate_narrow(b, e);

    return n.kind == NEXT_ON ? outcome_refused(b, e) : n;
}

struct next outcome_unfit(struct batch *b, const struct err *e)
{
    b->run->worker->show.counts->errors[e->class]++;
    return rule_failed(b, e);
}

struct next outcome_empty(struct batch *b)
{
    struct next n = row_cache_must_repeat(b, NULL) ? next_again(0)
                                                   : compares_first(b, NULL);

    return n.kind == NEXT_ON ? next_is(NEXT_COMMITTED) : n;
}

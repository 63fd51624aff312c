/* See rule.h. */
#include "flow/run/rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/halt/halts.h"
#include "flow/run/conflict.h"
#include "flow/run/isolate.h"
#include "flow/show/show.h"
#include "model/deadlines.h"

enum {
    RULE_DEATHS_MOST = 2, /* of workers that asked the failure rule */
    ASKED_AT_ONCE = 20,   /* retries without a pause, and without a word */
    ASKED_USEC = 5000000,
    ASKED_FLOOR_USEC = 10000,
    ASKED_CAP_USEC = 1000000
};

/* ---- asking ---- */

static void ask(struct batch *b, const struct failure *f, struct decision *d)
{
    struct run *run = b->run;
    bool is_trusted = run->worker->show.page->rule_deaths < RULE_DEATHS_MOST;
    struct err e;

    run->worker->show.counts->in_rule = 1;
    bool ok = vm_decide(b->generation->vm, f, is_trusted, d, &e);
    run->worker->show.counts->in_rule = 0;
    if (ok) {
        return;
    }
    run->worker->show.counts->counters[COUNT_RULE_FAULTS]++;
    if (strncmp(run->rule_fault, e.text, 190) != 0) {
        snprintf(run->rule_fault, sizeof(run->rule_fault), "%.190s", e.text);
        log_line(LOG_ERROR,
                 "the failure rule cannot be used; the stock rule decides",
                 "error=%s", log_quote(e.text));
    }
}

/* Have other records been committed since this work began to fail? */
static bool has_others(const struct batch *b)
{
    const struct lane *l = b->input.leases[0].lane;
    usec since = b->tries.failed_since;

    if (b->input.n_leases == 1 && l->search.since) {
        since = l->search.since;
    }
    return since && b->run->committed_at > since;
}

/* A lane that is being searched has failed before, in a larger batch; one that
 * waits for others in each that came of it. */
static uint32_t attempts_of(const struct batch *b, const struct err *e)
{
    const struct lane *l = b->input.leases[0].lane;

    if (b->input.n_leases > 1) {
        return b->tries.n_failed;
    }
    return b->tries.n_failed +
           (e->class == ERR_CONFLICT ? l->wait.n_tried : l->search.left > 0);
}

static struct decision decide(struct batch *b, const struct err *e, uint32_t n,
                              uint32_t event)
{
    const struct record *rec =
        n ? &b->input.records[event] : &b->input.records[0];
    struct failure f = {.class = e->class,
                        .sqlstate = e->sqlstate,
                        .message = e->text,
                        .attempts = attempts_of(b, e),
                        .n_records = n ? n : 1,
                        .has_others = has_others(b),
                        .topic = b->input.n_leases == 1 || n == 1 ? rec->topic
                                                                  : NULL,
                        .partition = rec->partition,
                        .offset = rec->offset};
    struct decision d;

    ask(b, &f, &d);
    return d;
}

void rule_ask_record(struct batch *b, uint32_t event)
{
    struct letter *letter = &b->failures.letters[event];
    struct err e;
    struct decision d;

    err_set(&e, letter->class, "%s", letter->reason);
    memcpy(e.sqlstate, letter->sqlstate, sizeof(e.sqlstate));
    d = decide(b, &e, 1, event);
    letter->is_decided = true;
    if (d.action == ACTION_RETRY) {
        b->failures.must_wait = true;
        b->failures.waits_for = event;
        b->failures.wait_ms = d.delay_ms;
    } else {
        letter->action = d.action;
    }
}

/* ---- doing ---- */

/* While the breaker is open its records wait in their inboxes, so that a small
 * batch of them can be tried first. A rule may ask for a longer pause than the
 * usual, never for less: nobody hammers a database that is away. */
static struct next retry_later(struct batch *b, const struct err *e,
                               int64_t delay_ms)
{
    const struct plan_retry *limits = &b->generation->plan->database.retry;
    usec asked = delay_ms > 0 ? (usec)delay_ms * 1000 : 0;
    usec usual;

    if (b->run->worker->database.breaker.state != BREAKER_CLOSED) {
        return next_is(NEXT_RELEASE);
    }
    show_waits(&b->run->worker->show, "database: ", e->text);
    usual =
        backoff_delay(++b->tries.n_failed, limits->floor_ms * 1000ULL,
                      limits->cap_ms * 1000ULL, worker_random(b->run->worker));
    return next_again(asked > usual ? asked : usual);
}

/* Longer than anyone should have to guess at what is going on. */
static bool is_to_be_logged(const struct batch *b, usec until)
{
    return b->tries.is_logged || b->tries.n_failed >= ASKED_AT_ONCE ||
           until > b->tries.failed_since + ASKED_USEC;
}

static void tell(struct batch *b, const struct err *e, const struct record *rec)
{
    if (!b->tries.is_logged) {
        log_line(LOG_WARN,
                 "the failure rule asks for a batch to be tried again and "
                 "again; its lanes wait",
                 "first=%s/%d/%" PRId64 " retries=%u error=%s", rec->topic,
                 rec->partition, rec->offset, b->tries.n_failed,
                 log_quote(e->text));
    }
    b->tries.is_logged = true;
    show_waits(&b->run->worker->show, "the failure rule retries: ", e->text);
}

struct next rule_asks_again(struct batch *b, const struct err *e,
                            uint32_t event, usec delay)
{
    usec now = worker_now(b->run->worker), least;

    b->tries.failed_since = b->tries.failed_since ? b->tries.failed_since : now;
    if (++b->tries.n_failed > ASKED_AT_ONCE) {
        least =
            backoff_delay(b->tries.n_failed - ASKED_AT_ONCE, ASKED_FLOOR_USEC,
                          ASKED_CAP_USEC, worker_random(b->run->worker));
        delay = delay > least ? delay : least;
    }
    if (is_to_be_logged(b, now + delay)) {
        tell(b, e, &b->input.records[event]);
    }
    return next_again(delay);
}

static struct next retry(struct batch *b, const struct err *e, int64_t delay_ms)
{
    b->tries.failed_since = b->tries.failed_since ? b->tries.failed_since
                                                  : worker_now(b->run->worker);
    if (!database_is_away(e) && e->class == ERR_CONFLICT) {
        return conflict_retry(b, e, delay_ms);
    }
    return database_is_away(e) || delay_ms < 0
               ? retry_later(b, e, delay_ms)
               : rule_asks_again(b, e, 0, (usec)delay_ms * 1000);
}

/* 42xxx: a table, column or right is missing, and the server says but which. */
static void name_hint(const struct run *run, struct err *e)
{
    struct err said = *e;

    if (strncmp(said.sqlstate, "42", 2) == 0) {
        snprintf(e->text, sizeof(e->text),
                 "%.400s: `tidemill check %.200s` names the SQL that mends it",
                 said.text, run->worker->now->plan->path);
    }
}

/* Someone must change the database or the pipeline; until then the lanes wait
 * and look again now and then. */
static struct next halt_for_a_while(struct batch *b, const struct err *e)
{
    struct run *run = b->run;
    struct err named = *e;
    usec delay =
        backoff_delay(++run->troubles, BACKOFF_SCHEMA_FLOOR_USEC,
                      BACKOFF_SCHEMA_CAP_USEC, worker_random(run->worker));

    name_hint(run, &named);
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        halts_until(run->halts, b->input.leases[i].lane,
                    worker_now(run->worker) + delay, &named);
    }
    show_ready(
        &run->worker->show); /* nothing else ends what the batch has said */
    return next_is(NEXT_RELEASE);
}

/* Only a person can say how to go on. */
static struct next halt_for_person(struct batch *b, const struct err *e)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        struct err named = *e;

        l->lane->was_halted = true;
        l->lane->letters.has_halted |= b->input.stays;
        err_wrap(&named, "%s/%d from offset %" PRId64, l->lane->topic,
                 l->lane->partition, b->input.records[l->first].offset);
        halts_for_person(b->run->halts, l->lane, &named,
                         b->generation->plan->hash);
    }
    show_ready(&b->run->worker->show);
    return next_is(NEXT_RELEASE);
}

static bool is_for_a_person(const struct err *e)
{
    return e->class == ERR_DATA || e->class == ERR_SCRIPT ||
           e->class == ERR_CONFLICT;
}

struct next rule_failed(struct batch *b, const struct err *e)
{
    uint32_t event = 0, n = batch_applied(b, &event);
    struct decision d = decide(b, e, n, event);

    switch (d.action) {
    case ACTION_RETRY:
        return retry(b, e, d.delay_ms);
    case ACTION_BISECT:
        return isolate_parts(b);
    case ACTION_DEAD_LETTER:
    case ACTION_HOLD:
        /* Nothing but dead letters, and they are refused: nobody's record is
         * to blame. */
        return n == 1 ? isolate_found(b, event, e, d.action)
                      : halt_for_person(b, e);
    default:
        return is_for_a_person(e) ? halt_for_person(b, e)
                                  : halt_for_a_while(b, e);
    }
}

/* See isolate.h. */
#include "flow/engine/isolate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/retry.h"
#include "flow/batch/lease.h"
#include "flow/batch/verdict.h"
#include "flow/engine/conflict.h"
#include "flow/show/show.h"
#include "model/deadlines.h"

enum {
    RULE_DEATHS_MOST = 2, /* of workers that asked the failure rule */
    ASKED_AT_ONCE = 20,   /* retries without a pause, and without a word */
    ASKED_USEC = 5000000,
    ASKED_FLOOR_USEC = 10000,
    ASKED_CAP_USEC = 1000000
};

void isolate_again(struct batch *b, usec delay)
{
    database_release(&b->engine->database, &b->attempt.conn);
    b->engine->show.counts->counters[COUNT_BATCH_RETRIES]++;
    b->tries.retry_at = clock_usec() + delay;
    engine_move(b, BATCH_WAITING);
}

/* ---- asking ---- */

static void ask(struct engine *g, const struct failure *f, struct decision *d)
{
    bool is_trusted =
        !g->show.page || g->show.page->rule_deaths < RULE_DEATHS_MOST;
    struct err e;

    g->show.counts->in_rule = 1;
    bool ok = vm_decide(g->vm, f, is_trusted, d, &e);
    g->show.counts->in_rule = 0;
    if (ok) {
        return;
    }
    g->show.counts->counters[COUNT_RULE_FAULTS]++;
    if (strncmp(g->rule_fault, e.text, 190) != 0) {
        snprintf(g->rule_fault, sizeof(g->rule_fault), "%.190s", e.text);
        log_line(LOG_ERROR,
                 "the failure rule cannot be used; the stock rule decides",
                 "error=%s", log_quote(e.text));
    }
}

uint32_t isolate_applied(const struct batch *b, uint32_t *only)
{
    uint32_t n = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (b->input.events.states[e] == TM_EVENT_OK) {
            *only = e;
            n++;
        }
    }
    return n;
}

/* Have other records been committed since this work began to fail? */
static bool has_others(const struct batch *b)
{
    const struct dossier *d = b->input.leases[0].lane->dossier;
    usec since = b->tries.failed_since;

    if (b->input.n_leases == 1 && d && d->suspected_since) {
        since = d->suspected_since;
    }
    return since && b->engine->committed_at > since;
}

/* A lane that is being searched has failed before, in a larger batch; one that
 * waits for others in each that came of it. */
static uint32_t attempts_of(const struct batch *b, const struct err *e)
{
    const struct lane *l = b->input.leases[0].lane;
    const struct dossier *d = l->dossier;

    if (b->input.n_leases > 1) {
        return b->tries.n_failed;
    }
    return b->tries.n_failed +
           (e->class == ERR_CONFLICT && d ? d->n_tried : l->suspect_left > 0);
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

    ask(b->engine, &f, &d);
    return d;
}

void isolate_ask_record(struct batch *b, uint32_t event)
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
 * batch of them can be tried first. A rule may ask for more patience than the
 * usual, never for less: nobody hammers a database that is away. */
static void retry_later(struct batch *b, const struct err *e, int64_t delay_ms)
{
    const struct plan_retry *limits = &b->engine->plan->database.retry;
    usec asked = delay_ms > 0 ? (usec)delay_ms * 1000 : 0;
    usec usual;

    if (b->engine->database.breaker.state != BREAKER_CLOSED) {
        engine_release(b);
        return;
    }
    show_waits(&b->engine->show, "database: ", e->text);
    usual = retry_delay(++b->tries.n_failed, limits->floor_ms * 1000ULL,
                        limits->cap_ms * 1000ULL, (uint32_t)clock_usec());
    isolate_again(b, asked > usual ? asked : usual);
}

/* Longer than anyone should have to guess at what is going on. */
static bool is_to_be_told(const struct batch *b, usec until)
{
    return b->tries.is_told || b->tries.n_failed >= ASKED_AT_ONCE ||
           until > b->tries.failed_since + ASKED_USEC;
}

static void tell(struct batch *b, const struct err *e, const struct record *rec)
{
    if (!b->tries.is_told) {
        log_line(LOG_WARN,
                 "the failure rule asks for a batch to be tried again and "
                 "again; its lanes wait",
                 "first=%s/%d/%" PRId64 " retries=%u error=%s", rec->topic,
                 rec->partition, rec->offset, b->tries.n_failed,
                 log_quote(e->text));
    }
    b->tries.is_told = true;
    show_waits(&b->engine->show, "the failure rule retries: ", e->text);
}

void isolate_asked(struct batch *b, const struct err *e, uint32_t event,
                   usec delay)
{
    usec now = clock_usec(), least;

    b->tries.failed_since = b->tries.failed_since ? b->tries.failed_since : now;
    if (++b->tries.n_failed > ASKED_AT_ONCE) {
        least = retry_delay(b->tries.n_failed - ASKED_AT_ONCE, ASKED_FLOOR_USEC,
                            ASKED_CAP_USEC, (uint32_t)now);
        delay = delay > least ? delay : least;
    }
    if (is_to_be_told(b, now + delay)) {
        tell(b, e, &b->input.records[event]);
    }
    isolate_again(b, delay);
}

static void retry(struct batch *b, const struct err *e, int64_t delay_ms)
{
    b->tries.failed_since =
        b->tries.failed_since ? b->tries.failed_since : clock_usec();
    if (database_is_away(e)) {
        retry_later(b, e, delay_ms);
    } else if (e->class == ERR_CONFLICT) {
        conflict_retry(b, e, delay_ms);
    } else if (delay_ms < 0) {
        retry_later(b, e, delay_ms);
    } else {
        isolate_asked(b, e, 0, (usec)delay_ms * 1000);
    }
}

void isolate_halve(struct batch *b)
{
    struct dossier *d = b->input.leases[0].lane->dossier;

    d->retry_most = b->input.events.n > 1 ? b->input.events.n / 2 : 1;
}

/* Of [n] records so many were done when a late run was stopped; with several
 * projections those before count. */
static uint32_t share_done(const struct batch *b, uint32_t n)
{
    uint64_t turn = b->run.projection > 0 ? (uint64_t)b->run.projection : 0;
    uint64_t at = b->run.late_at > 0 ? (uint64_t)b->run.late_at : 0;
    uint64_t done = turn * b->input.events.n + at;
    uint64_t all = (uint64_t)(b->n_rows ? b->n_rows : 1) * b->input.events.n;
    uint64_t share = n * done / all;

    return share > 0 ? (uint32_t)share : 1;
}

/* The batch is given up: its lanes' next ones have fewer records, half of them or
 * those that there was time for. */
static void make_smaller(struct batch *b, bool is_late)
{
    if (b->is_retry) {
        isolate_halve(b);
    }
    for (uint32_t i = 0; i < b->input.n_leases && !b->is_retry; i++) {
        const struct lease *l = &b->input.leases[i];
        uint32_t n = is_late ? share_done(b, l->n) : l->n;

        lease_halve(l->lane, n, b->input.n_leases == 1);
    }
    engine_release(b);
}

/* Once for a lane, until its batches have their usual size again. */
static void tell_narrow(const struct lane *lane, uint32_t n,
                        const struct err *e)
{
    if (lane->most == 0) {
        log_line(LOG_INFO,
                 "a batch took too much; the lane's next ones have fewer "
                 "records",
                 "lane=%s/%d records=%u error=%s", lane->topic, lane->partition,
                 n, log_quote(e->text));
    }
}

bool isolate_narrow(struct batch *b, const struct err *e)
{
    /* Where a lane halts early the others were loaded all the same. */
    if (b->input.events.n <= 1) {
        return false;
    }
    for (uint32_t i = 0; i < b->input.n_leases && !b->is_retry; i++) {
        tell_narrow(b->input.leases[i].lane, b->input.leases[i].n, e);
    }
    make_smaller(b, false);
    return true;
}

void isolate_suspect(struct lease *l, bool was_alone)
{
    struct dossier *d = l->lane->dossier;

    if (!d->suspected_since) {
        d->suspected_since = clock_usec();
    }
    lease_suspect(l->lane, lease_moved(l), was_alone);
}

void isolate_parts(struct batch *b)
{
    b->engine->show.counts->counters[COUNT_ISOLATIONS]++;
    if (b->is_retry) {
        isolate_halve(b);
    }
    for (uint32_t i = 0; i < b->input.n_leases && !b->is_retry; i++) {
        if (lease_moved(&b->input.leases[i]) > 0) {
            isolate_suspect(&b->input.leases[i], b->input.n_leases == 1);
        }
    }
    engine_release(b);
}

/* As tell_narrow(): a lane may come here with every few batches. */
static void tell_over(const struct batch *b)
{
    const struct record *first = &b->input.records[0];
    const struct vm *vm = b->engine->vm;
    enum log_level level =
        b->input.leases[0].lane->most == 0 ? LOG_INFO : LOG_DEBUG;

    if (b->input.view.is_late) {
        log_line(level,
                 "the scripts take too long for a batch: its records come in "
                 "smaller ones",
                 "first=%s/%d/%" PRId64 " records=%u time_for=%u", first->topic,
                 first->partition, first->offset, b->input.events.n,
                 share_done(b, b->input.events.n));
    } else {
        log_line(level,
                 "the scripts make too much of a batch: its records come in "
                 "smaller ones",
                 "first=%s/%d/%" PRId64 " records=%u limit_bytes=%" PRIu64,
                 first->topic, first->partition, first->offset,
                 b->input.events.n,
                 vm_ran_out(vm) ? vm_most_bytes() : batch_most(b));
    }
}

void isolate_over(struct batch *b)
{
    tell_over(b);
    b->engine->show.counts->counters[COUNT_BATCH_RETRIES]++;
    make_smaller(b, b->input.view.is_late);
}

/* The record is set aside by the next batch of its lane, which finds it here
 * whatever else it holds. */
static void condemn(struct batch *b, uint32_t event, const struct err *e,
                    enum failure_action action)
{
    const struct record *rec = &b->input.records[event];
    struct lane *lane = b->input.leases[rec->lane].lane;
    struct dossier *d = lane->dossier;

    b->engine->show.counts->counters[COUNT_ISOLATIONS]++;
    d->has_refused = true;
    d->refused = rec->offset;
    d->verdict = action;
    d->why = *e;
    if (!b->is_retry) {
        lease_found(lane);
    }
    engine_release(b);
}

/* 42xxx: a table, column or right is missing, and the server says but which. */
static void name_cure(const struct engine *g, struct err *e)
{
    struct err said = *e;

    if (strncmp(said.sqlstate, "42", 2) == 0) {
        snprintf(e->text, sizeof(e->text),
                 "%.400s: `tidemill check %.200s` names the SQL that mends it",
                 said.text, g->plan->path);
    }
}

/* Someone must change the database or the pipeline; until then the lanes wait
 * and look again now and then. */
static void halt_for_a_while(struct batch *b, const struct err *e)
{
    struct engine *g = b->engine;
    struct err named = *e;
    usec delay = retry_delay(++g->troubles, BACKOFF_SCHEMA_FLOOR_USEC,
                             BACKOFF_SCHEMA_CAP_USEC, (uint32_t)clock_usec());

    name_cure(g, &named);
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        engine_halt_until(g, b->input.leases[i].lane, clock_usec() + delay,
                          &named);
    }
    show_ready(&g->show); /* nothing else ends what the batch has said */
    engine_release(b);
}

/* Only a person can say how to go on. */
static void halt_for_person(struct batch *b, const struct err *e)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        struct err named = *e;

        ((struct dossier *)l->lane->dossier)->was_halted = true;
        err_wrap(&named, "%s/%d from offset %" PRId64, l->lane->topic,
                 l->lane->partition, b->input.records[l->first].offset);
        engine_halt_for_person(b->engine, l->lane, &named, true);
    }
    show_ready(&b->engine->show);
    engine_release(b);
}

static bool is_for_a_person(const struct err *e)
{
    return e->class == ERR_DATA || e->class == ERR_SCRIPT ||
           e->class == ERR_CONFLICT;
}

void isolate_failed(struct batch *b, const struct err *e)
{
    uint32_t event = 0, n = isolate_applied(b, &event);
    struct decision d = decide(b, e, n, event);

    switch (d.action) {
    case ACTION_RETRY:
        retry(b, e, d.delay_ms);
        break;
    case ACTION_BISECT:
        isolate_parts(b);
        break;
    case ACTION_DEAD_LETTER:
    case ACTION_HOLD:
        if (n == 1) {
            condemn(b, event, e, d.action);
            break;
        }
        /* Nothing but dead letters, and they are refused: nobody's record is
         * to blame. */
        halt_for_person(b, e);
        break;
    default:
        if (is_for_a_person(e)) {
            halt_for_person(b, e);
        } else {
            halt_for_a_while(b, e);
        }
    }
}

/* ---- what is known ---- */

static void find_refused(struct batch *b, const struct lease *l)
{
    const struct dossier *d = l->lane->dossier;

    if (!d || !d->has_refused) {
        return;
    }
    for (uint32_t e = l->first; e < l->first + l->n; e++) {
        if (b->input.records[e].offset == d->refused &&
            b->input.events.states[e] == TM_EVENT_OK) {
            verdict_refused(b, e, &d->why, d->verdict);
        }
    }
}

void isolate_refused(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        find_refused(b, &b->input.leases[i]);
    }
}

void isolate_cleared(struct lease *l, uint32_t n)
{
    struct dossier *d = l->lane->dossier;

    lease_cleared(l->lane, n);
    if (l->lane->suspect_left == 0) {
        d->suspected_since = 0;
    }
    conflict_cleared(l->lane);
    if (l->start <= d->refused && l->end > d->refused) {
        d->has_refused = false;
    }
}

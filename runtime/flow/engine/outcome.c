/* See outcome.h. */
#include "flow/engine/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/retry.h"
#include "flow/batch/lease.h"
#include "flow/batch/measure.h"
#include "flow/engine/conflict.h"
#include "flow/engine/fence.h"
#include "flow/engine/isolate.h"
#include "flow/engine/recall.h"
#include "flow/engine/redo.h"
#include "flow/show/show.h"
#include "model/deadlines.h"
#include "postgres/wire/sqlstate.h"

enum {
    COMPARED_AT_ONCE = 3,  /* then the tables change all the time */
    NO_MEMORY_AT_MOST = 5, /* then it is the one record that takes it */
    ASK_AGAIN_USEC = 500000
};

static void name_halt(const struct batch *b, const struct lease *l,
                      struct err *e)
{
    const struct record *rec = &b->input.records[l->halt];

    err_set(e, l->halt_class, "%s/%d offset %" PRId64 ": %s", rec->topic,
            rec->partition, rec->offset, l->halt_reason);
}

/* With the letters that made the lane halt: whoever comes next would set as
 * many aside again. */
void outcome_write_halts(struct batch *b)
{
    struct err e;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (l->halt >= 0) {
            l->halted_since = (int64_t)time(NULL);
            name_halt(b, l, &e);
            const struct position at = {.topic = l->lane->topic,
                                        .partition = l->lane->partition,
                                        .epoch = l->epoch,
                                        .halted_since = l->halted_since};
            position_halt(b->attempt.conn, b->engine->plan, &at, e.text,
                          b->engine->plan->hash);
        }
    }
}

/* The lane stands before a record that was neither applied nor set aside. */
static void halt_lane(struct batch *b, const struct lease *l)
{
    struct lane *lane = l->lane;
    struct err e;

    ((struct dossier *)lane->dossier)->was_halted = true;
    b->engine->show.counts->errors[l->halt_class]++;
    name_halt(b, l, &e);
    if (l->halted_since == 0) {
        engine_halt_for_person(b->engine, lane, &e, true);
        return;
    }
    lane->retry_at = 0;
    engine_halt(b->engine, lane, &e);
    if (lane->page) {
        ((struct page_lane *)lane->page)->halted_since = l->halted_since;
    }
}

static void keep_pace(struct batch *b, struct lease *l)
{
    if (b->run.pace == BATCH_TOO_SLOW) {
        lease_halve(l->lane, l->n, b->input.n_leases == 1);
    } else if (b->run.pace == BATCH_QUICK && !b->run.is_heavy) {
        lease_grow(l->lane, b->engine->plan->limits.size);
    }
}

static void settle_lane(struct batch *b, struct lease *l)
{
    struct engine *g = b->engine;
    uint32_t moved = lease_moved(l);

    if (!l->lane->is_assigned || l->lane->needs_claim) {
        return;
    }
    if (!b->is_retry) {
        if (moved > 0 && b->outcome.n_written > 0) {
            ((struct dossier *)l->lane->dossier)->wrote_at = clock_usec();
        }
        l->lane->position = l->end;
        if (moved > 0) {
            l->lane->told.at = 0; /* it went on */
            l->lane->was_rewound &= !l->lane->settles;
        }
        source_done(g->source, l->lane, moved);
        if (l->cut < 0 || l->lane->inbox.count == 0) { /* else: at once */
            l->lane->waiting_since = l->lane->inbox.count ? clock_usec() : 0;
        }
        isolate_cleared(l, moved);
        keep_pace(b, l);
    }
    if (l->halt >= 0) {
        halt_lane(b, l);
    }
}

void outcome_committed(struct batch *b)
{
    struct engine *g = b->engine;

    database_release(&b->engine->database, &b->attempt.conn);
    letters_committed(b);
    if (b->failures.letters) {
        publish_due(g);
    }
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        settle_lane(b, &b->input.leases[i]);
    }
    if (b->is_retry) {
        redo_committed(b);
    } else if (batch_moved(b) > 0) {
        measure_committed(&g->show, b);
        g->committed_at = clock_usec();
    }
    database_answered(&g->database, &b->attempt.ticket);
    g->troubles = 0;
    show_ready(&g->show);
    engine_release(b);
}

void outcome_again(struct batch *b)
{
    isolate_again(b, 0);
}

void outcome_wait(struct batch *b)
{
    const struct letter *why = &b->failures.letters[b->failures.waits_for];
    usec delay = b->failures.wait_ms < 0
                     ? retry_delay(b->tries.n_failed + 1, BACKOFF_FLOOR_USEC,
                                   BACKOFF_CAP_USEC, (uint32_t)clock_usec())
                     : (usec)b->failures.wait_ms * 1000;
    struct err e;

    err_set(&e, why->class, "%s", why->reason);
    isolate_asked(b, &e, b->failures.waits_for, delay);
}

/* Were rows of its topic written since the search began? */
static bool goes_on_without(const struct batch *b)
{
    const struct lane *ours = b->input.leases[0].lane;
    const struct dossier *d = ours->dossier;

    for (struct lane *l = source_lanes(b->engine->source); l; l = l->next) {
        const struct dossier *other = l->dossier;

        if (l->topic_index == ours->topic_index && other &&
            other->wrote_at > d->suspected_since) {
            return true;
        }
    }
    return false;
}

/* What a right or a damaged table answers to all is looked for as a record's:
 * a policy of row-level security, or code in the database, may answer so to a
 * single one. The tables are as compared, rights included. A letter that is
 * tried again stays one. */
static bool is_tried_alone(struct batch *b, const struct err *e,
                           struct err *named)
{
    struct dossier *d = b->input.leases[0].lane->dossier;
    uint32_t event, n = isolate_applied(b, &event);

    if (n == 0 || e->is_right || !sqlstate_may_be_one(e->sqlstate)) {
        return false;
    }
    *named = *e;
    named->class = ERR_DATA;
    if (n == 1 && !d->suspected_since) {
        d->suspected_since = clock_usec();
    }
    return n > 1 || b->is_retry || goes_on_without(b) ||
           (b->engine->tables.hides && strcmp(e->sqlstate, "42501") == 0);
}

/* No record is to blame, but only lanes that need it wait for the cure. */
static void not_kept(struct batch *b, const struct err *named)
{
    if (b->input.n_leases > 1) {
        isolate_parts(b);
    } else {
        isolate_failed(b, named);
    }
}

static void by_class(struct batch *b, const struct err *e,
                     const struct pgreply *reply)
{
    struct err named;

    if (e->class == ERR_FENCED) {
        fence_failed(b, reply->failed);
    } else if (compare_is_unkept(b->engine, e, &named)) {
        not_kept(b, &named);
    } else if (conflict_is_cancel(b, e)) {
        conflict_retry(b, e, -1);
    } else if (conflict_is_none(b, e, &named) || is_tried_alone(b, e, &named)) {
        isolate_failed(b, &named);
    } else {
        isolate_failed(b, e);
    }
}

/* ---- tables that changed ---- */

static void again_compared(struct batch *b, const struct err *e)
{
    if (b->tries.n_failed == COMPARED_AT_ONCE) {
        log_line(LOG_WARN, "tables change again and again",
                 "lane=%s/%d lanes=%u error=%s", b->input.leases[0].lane->topic,
                 b->input.leases[0].lane->partition, b->input.n_leases,
                 log_quote(e->text));
    }
    if (b->tries.n_failed >= COMPARED_AT_ONCE) {
        show_waits(&b->engine->show, "database: ", e->text);
    }
    isolate_again(b, b->tries.n_failed++ < COMPARED_AT_ONCE ? 0
                                                            : BACKOFF_CAP_USEC);
}

static void on_doubted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct batch *b = arg;

    (void)c;
    if (!r->ok) {
        outcome_failed(b, r);
    } else if (b->tables.doubt) {
        by_class(b, b->tables.doubt, NULL);
    } else {
        outcome_committed(b);
    }
}

/* No record is blamed for what a change of its table did. True: the batch goes
 * its way. */
static bool doubt(struct batch *b, const struct err *e)
{
    if (e && e->class != ERR_DATA && e->class != ERR_SCRIPT) {
        return false;
    }
    if (compare_is_outdated(b)) {
        outcome_again(b);
        return true;
    }
    b->tables.doubt = e ? (struct err *)arena_dup(&b->memory.loaded,
                                                  (const char *)e, sizeof(*e))
                        : NULL;
    return compare_doubt(b, on_doubted);
}

static bool is_unknown(const struct pgreply *reply)
{
    return reply->commit_sent && !reply->commit_rolled_back &&
           (reply->failed < 0 || reply->error.class == ERR_CONNECTION ||
            strcmp(reply->error.sqlstate, "40003") == 0);
}

/* Less at a time may fit. A record that does not fit alone is to blame: at once
 * where we set the bound, else once it is no passing want of memory. True: the
 * batch goes its way. */
static bool is_too_much(struct batch *b, const struct pgreply *reply)
{
    struct err e = reply->error;

    if (!reply->is_too_large) {
        return false;
    }
    if (isolate_narrow(b, &e)) {
        return true;
    }
    if (!reply->is_over && b->tries.n_failed < NO_MEMORY_AT_MOST) {
        return false;
    }
    e.class = ERR_DATA;
    isolate_failed(b, &e);
    return true;
}

void outcome_too_much(struct batch *b, const struct err *e)
{
    if (!isolate_narrow(b, e)) {
        outcome_refused(b, e);
    }
}

void outcome_failed(struct batch *b, const struct pgreply *reply)
{
    struct engine *g = b->engine;

    g->show.counts->errors[reply->error.class]++;
    if (reply->is_over) {
        database_answered(&g->database, &b->attempt.ticket);
    } else {
        database_told(&g->database, &b->attempt.ticket, &reply->error,
                      reply->commit_sent ? "commit" : "batch");
    }
    if (is_unknown(reply)) {
        g->show.counts->counters[COUNT_COMMIT_UNKNOWN]++;
        database_release(&b->engine->database, &b->attempt.conn);
        b->resolve.n_asked = 0;
        b->tries.retry_at = 0;
        engine_move(b, BATCH_RESOLVING);
    } else if (is_too_much(b, reply)) {
        return;
    } else if (compare_explains(b, &reply->error)) {
        again_compared(b, &reply->error);
    } else if (recall_must_repeat(b, &reply->error)) {
        g->show.counts->counters[COUNT_CACHE_STALE] +=
            strcmp(reply->error.sqlstate, "TM002") == 0;
        outcome_again(b);
    } else if (b->attempt.kind == ATTEMPT_PROOF &&
               reply->error.class == ERR_DATA) {
        /* What a trigger read there may be older than the record. */
        conflict_not_proven(b);
    } else if (reply->commit_rolled_back) {
        isolate_failed(b, &reply->error);
    } else if (!doubt(b, &reply->error)) {
        by_class(b, &reply->error, reply);
    }
}

void outcome_refused(struct batch *b, const struct err *e)
{
    if (recall_must_repeat(b, e)) {
        outcome_again(b);
        return;
    }
    b->engine->show.counts->errors[e->class]++;
    if (compare_explains(b, e)) {
        again_compared(b, e);
    } else if (!doubt(b, e)) {
        by_class(b, e, NULL);
    }
}

void outcome_unfit(struct batch *b, const struct err *e)
{
    b->engine->show.counts->errors[e->class]++;
    isolate_failed(b, e);
}

void outcome_empty(struct batch *b)
{
    if (recall_must_repeat(b, NULL)) {
        outcome_again(b);
    } else if (!doubt(b, NULL)) {
        outcome_committed(b);
    }
}

void outcome_still_unknown(struct batch *b, const struct err *e)
{
    /* Whatever the reason: it is asked again, and not at once. */
    database_told(&b->engine->database, &b->attempt.ticket, e, "commit");
    if (!database_is_away(e)) {
        b->tries.retry_at = clock_usec() + ASK_AGAIN_USEC;
        if (++b->resolve.n_asked == 1) {
            log_line(
                LOG_WARN, "what became of a COMMIT is not told; asking again",
                "lane=%s/%d lanes=%u error=%s", b->input.leases[0].lane->topic,
                b->input.leases[0].lane->partition, b->input.n_leases,
                log_quote(e->text));
        }
    }
    database_release(&b->engine->database, &b->attempt.conn);
    engine_move(b, BATCH_RESOLVING);
}

static bool is_ours(const struct lease *l, const struct position *at)
{
    return at->found && at->epoch > l->epoch;
}

/* A retry moves no position; whether its letters are gone is asked for with
 * the lane's held keys, behind the claim that waited for the COMMIT. */
static void resolved_retry(struct batch *b, const struct position *at)
{
    struct lane *lane = b->input.leases[0].lane;

    lane->needs_letters = true;
    lane->needs_claim |= !at->found || at->next_offset != lane->position;
    engine_release(b);
}

/* What became of a COMMIT: it was done, it was not, or that cannot be told since
 * others moved the lanes. */
enum commit_state { COMMIT_DONE, COMMIT_NOT_DONE, COMMIT_MOVED };

/* The transaction is atomic: any lane that it would have moved tells. A row
 * whose epoch is not above ours is of an older database. */
static enum commit_state commit_state(const struct batch *b,
                                      const struct position *at)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];

        if (l->end > l->start && is_ours(l, &at[i]) && l->lane->is_assigned) {
            return at[i].next_offset == l->end     ? COMMIT_DONE
                   : at[i].next_offset == l->start ? COMMIT_NOT_DONE
                                                   : COMMIT_MOVED;
        }
    }
    return COMMIT_MOVED;
}

void outcome_resolved(struct batch *b, const struct position *at)
{
    static const char *const words[] = {[COMMIT_DONE] = "committed",
                                        [COMMIT_NOT_DONE] = "redo",
                                        [COMMIT_MOVED] = "moved"};
    enum commit_state state =
        b->is_retry ? COMMIT_NOT_DONE : commit_state(b, at);

    database_answered(&b->engine->database, &b->attempt.ticket);
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        if (is_ours(&b->input.leases[i],
                    &at[i])) { /* else the claim must see it */
            b->input.leases[i].epoch = b->input.leases[i].lane->epoch =
                at[i].epoch;
        }
        b->input.leases[i].lane->claim = ++b->engine->n_claims;
        b->input.leases[i].lane->needs_claim |= state == COMMIT_MOVED;
    }
    log_line(LOG_INFO, "an unknown COMMIT is known", "outcome=%s events=%u",
             words[state], batch_moved(b));
    if (b->is_retry) {
        resolved_retry(b, at);
    } else if (state == COMMIT_DONE) {
        outcome_committed(b);
    } else if (state == COMMIT_NOT_DONE) {
        isolate_again(b, 0);
    } else {
        engine_release(b);
    }
}

/* See conflict.h. */
#include "flow/run/conflict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/run/held_up.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "model/deadlines.h"
#include "postgres/wire/sqlstate.h"

enum {
    AT_ONCE = 3, /* then with a back-off */
    FLOOR_USEC = 5000,
    CAP_USEC = 1000000,
    MISSES = 3, /* of a record alone: then it is to be proven what it is */
    PROOFS = 3, /* that show nothing: then its rows are locked */
    FIRST_LOCK_MS = 2000, /* at least; see conflict.h */
    /* A lane that waits takes a connection for so long; a wait that ends early
     * loses its place in the server's queue, so now and then it is whole. */
    WHOLE_LOCK_EACH = 16,
    CANCELS = 2 /* of a record alone: then it is the record's */
};

/* ---- is it a race? ---- */

static bool is_alone(const struct batch *b)
{
    uint32_t event;

    return b->input.n_leases == 1 && batch_applied(b, &event) == 1;
}

static enum attempt_kind attempt_of(const struct batch *b)
{
    const struct lane *lane = b->input.leases[0].lane;

    return b->input.n_leases > 1             ? ATTEMPT_USUAL
           : lane->wait.n_unproven >= PROOFS ? ATTEMPT_LOCKED
           : lane->wait.n_missed >= MISSES   ? ATTEMPT_PROOF
                                             : ATTEMPT_USUAL;
}

/* The proof, or the attempt with locks, shows nothing: all begins anew. */
static void note_unproven(const struct batch *b, struct lane *lane)
{
    if (b->attempt.kind != ATTEMPT_USUAL) {
        lane->wait.n_unproven =
            b->attempt.kind == ATTEMPT_PROOF ? lane->wait.n_unproven + 1 : 0;
        lane->wait.n_missed = 0;
    }
}

/* Were all rows there when they were loaded, and so locked? */
static bool had_all_rows(const struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct rows *r = &b->rows[i];

        for (uint32_t row = r->first_row;
             program_loads(r->program) && row < r->view.n_rows; row++) {
            if (!(r->base_flags[row] & TM_ROW_EXISTS)) {
                return false;
            }
        }
    }
    return true;
}

/* What explains a miss may be newer than what was compared: it is asked for
 * before it is told. */
static void note_miss(struct batch *b, struct lane *lane)
{
    if (++lane->wait.n_missed == MISSES) {
        b->generation->tables.is_known = false;
    }
}

/* Into [out]: what may keep back what the batch writes. */
static void find_causes(const struct batch *b, char *out, size_t size)
{
    const struct compared *t = &b->generation->tables;
    /* A retry deletes its dead letters too. */
    const char *own = b->kind->end ? t->own : NULL;

    snprintf(out, size, "%.150s%s%.330s", own ? own : "",
             own && t->causes ? "; " : "",
             t->causes ? t->causes
             : own     ? ""
                       : "nothing that the catalogue shows, so perhaps a "
                         "function in a DEFAULT, a CHECK or an index");
}

static void name_miss(const struct batch *b, struct err *named)
{
    char causes[500];

    find_causes(b, causes, sizeof(causes));
    snprintf(
        named->text, sizeof(named->text),
        "a row was not written as it should be, though nobody else changed "
        "it. What may keep back, hide or move rows here: %s",
        causes);
}

/* Once a wait: only a person can find out. */
static void tell_unknown(const struct batch *b, struct lane *lane)
{
    char causes[500];

    if (!lane->wait.is_unknown) {
        lane->wait.is_unknown = true;
        find_causes(b, causes, sizeof(causes));
        log_line(LOG_WARN,
                 "a record is not applied, and nothing shows whether other "
                 "programs change its rows all the time or something in the "
                 "database keeps them back",
                 "lane=%s/%d position=%" PRId64 " may_keep_back=%s",
                 lane->topic, lane->partition, lane->position,
                 log_quote(causes));
    }
}

static void name_unloaded(struct err *named)
{
    snprintf(named->text, sizeof(named->text),
             "the record changes a part of a row that is not there: a NOT NULL "
             "column is neither in the record nor in the table");
}

bool conflict_is_none(struct batch *b, const struct err *e, struct err *named)
{
    struct lane *lane = b->input.leases[0].lane;

    if (strcmp(e->sqlstate, "TM002") != 0) {
        note_unproven(b, lane);
        return false;
    }
    *named = *e;
    named->class = ERR_DATA;
    if (b->outcome.has_unloaded_update) {
        name_unloaded(named);
    } else {
        name_miss(b, named);
    }
    if (!is_alone(b)) {
        return b->outcome.has_unloaded_update && b->tries.n_failed >= MISSES;
    }
    if (b->attempt.kind == ATTEMPT_USUAL) {
        note_miss(b, lane);
    } else if (b->attempt.kind == ATTEMPT_LOCKED && !had_all_rows(b)) {
        tell_unknown(b, lane);
        note_unproven(b, lane);
        return false;
    }
    return b->attempt.kind != ATTEMPT_USUAL;
}

/* Waits for several locks in turn add up to statement_timeout, and who cancels
 * what waits, cancels us too: an attempt that waits for locks as long as the
 * session allows says nothing of the record. Those behind the first one wait
 * but briefly. */
bool conflict_is_cancel(struct batch *b, const struct err *e)
{
    struct lane *lane = b->input.leases[0].lane;

    return strcmp(e->sqlstate, "57014") == 0 && is_alone(b) &&
           (b->attempt.waits_long || ++lane->wait.n_cancelled < CANCELS);
}

struct next conflict_not_proven(struct batch *b)
{
    note_unproven(b, b->input.leases[0].lane);
    return next_again(0);
}

/* ---- again, or apart ---- */

static const char *likely(const struct err *e)
{
    return sqlstate_is_lock(e->sqlstate)
               ? "another transaction holds a lock on its rows or tables; "
                 "pg_stat_activity shows which one has been open for long"
           : strcmp(e->sqlstate, "TM002") == 0
               ? "another program changes its rows all the time, or something "
                 "in the database does while they are written"
           : strncmp(e->sqlstate, "40", 2) == 0
               ? "other transactions lock or change its rows in another order"
           : strcmp(e->sqlstate, "57014") == 0
               ? "another transaction holds locks that it needs, or somebody "
                 "cancels its statements; pg_stat_activity shows who"
               : "`tidemill explain` with its code says more";
}

static void note_lost(struct batch *b, const struct err *e)
{
    held_up_note(b, true, e->text, likely(e));
    log_line(LOG_DEBUG, "lost against another transaction", "reason=%s",
             log_quote(e->text));
}

static bool is_waiting(const struct batch *b)
{
    return b->input.n_leases == 1 && b->input.leases[0].lane->wait.retry_at;
}

/* Close behind a record that was kept back, another one is likelier than a
 * race. */
static uint32_t most_attempts(const struct batch *b, const struct err *e)
{
    bool is_behind = b->input.n_leases == 1 &&
                     b->input.leases[0].lane->search.cap > 0 &&
                     strcmp(e->sqlstate, "TM002") == 0;

    return is_behind && b->kind->holds_lanes ? 1 : b->kind->most_lost;
}

/* It has been waited for already. */
static bool has_waited(const struct err *e)
{
    return sqlstate_is_lock(e->sqlstate) || strcmp(e->sqlstate, "57014") == 0;
}

static bool has_lost_enough(const struct batch *b, const struct err *e)
{
    return b->tries.n_failed >= most_attempts(b, e) || is_waiting(b) ||
           has_waited(e) ||
           worker_now(b->run->worker) - b->tries.failed_since >=
               HELD_UP_TELL_USEC;
}

static usec pause(struct run *run, uint32_t n_lost, int64_t delay_ms)
{
    return delay_ms >= 0 ? (usec)delay_ms * 1000
           : n_lost <= AT_ONCE
               ? 0
               : backoff_delay(n_lost - AT_ONCE, FLOOR_USEC, CAP_USEC,
                               worker_random(run->worker));
}

/* Others come first, and its records once the lane's turn comes again. */
struct next conflict_part_lanes(struct batch *b, const struct err *e,
                                int64_t delay_ms)
{
    bool is_alone = b->input.n_leases == 1;
    usec now = worker_now(b->run->worker);

    (void)e;
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];
        struct lane *lane = l->lane;
        uint32_t moved = lease_moved(l);

        lane->wait.n_lost += is_alone && moved <= 1;
        lane->wait.n_tried += b->tries.n_failed;
        lane->wait.retry_at =
            now + (is_alone && moved <= 1
                       ? pause(b->run, lane->wait.n_lost, delay_ms)
                       : 0);
        isolate_search(l, is_alone, now);
    }
    return next_is(NEXT_RELEASE);
}

/* Once, as long as it lasts: only whoever asked for them waits. */
static void tell_letters(const struct batch *b, const struct err *e)
{
    struct lane *lane = b->input.leases[0].lane;

    lane->letters.since =
        lane->letters.since ? lane->letters.since : b->attempt.since;
    if (!lane->letters.is_logged &&
        worker_now(b->run->worker) - lane->letters.since > HELD_UP_TELL_USEC) {
        lane->letters.is_logged = true;
        log_line(LOG_WARN,
                 "dead letters that are tried again wait for other "
                 "transactions; their lane goes on",
                 "lane=%s/%d first=%" PRId64 " reason=%s", lane->topic,
                 lane->partition, b->input.records[0].offset,
                 log_quote(e->text));
    }
}

/* What was read of the letters may be why they fail: somebody discarded one. A
 * single one waits until the next look, and so does what has waited for a lock,
 * so that its lane goes on meanwhile; whether it misses for ever is shown at
 * once. */
void conflict_note_letters(struct batch *b, const struct err *e)
{
    struct lane *lane = b->input.leases[0].lane;

    tell_letters(b, e);
    lane_want_retry(lane, !has_waited(e) && (b->input.events.n > 1 ||
                                             lane->wait.n_missed > 0));
}

struct next conflict_retry(struct batch *b, const struct err *e,
                           int64_t delay_ms)
{
    b->tries.n_failed++;
    note_lost(b, e);
    if (!has_lost_enough(b, e)) {
        return next_again(pause(b->run, b->tries.n_failed, delay_ms));
    }
    b->run->worker->show.counts->counters[COUNT_BATCH_RETRIES]++;
    return b->kind->part(b, e, delay_ms);
}

void conflict_cleared(struct lane *lane)
{
    if (lane->wait.is_logged) {
        log_line(LOG_INFO, "lane goes on", "lane=%s/%d position=%" PRId64,
                 lane->topic, lane->partition, lane->position);
    }
    lane_waits_no_more(lane);
    if (lane->search.left == 0) {
        lane->wait.retry_at = 0;
    }
}

static bool empties(const struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (b->rows[i].emptied_by >= 0) {
            return true;
        }
    }
    return false;
}

static bool has_whole_turn(const struct batch *b)
{
    const struct lane *lane = b->input.leases[0].lane;

    return is_waiting(b) &&
           lane->wait.n_lost % WHOLE_LOCK_EACH == WHOLE_LOCK_EACH - 1;
}

/* Its place in the server's queue is worth more than that others go on. A table
 * that is emptied waits for its readers, with new ones behind it: no other lane
 * is in that batch once it has met one. A retry of letters waits no longer than
 * others, since the records of its lane wait for it. */
static bool wants_long_wait(const struct batch *b)
{
    return b->input.n_leases == 1 && b->kind->holds_lanes &&
           (empties(b) || has_whole_turn(b));
}

/* Connections are few: one at a time, and never the last one; but where there is
 * a single one, readers that come one behind the other would never let a table
 * be emptied. */
static bool may_wait_long(const struct batch *b)
{
    const struct run *run = b->run;
    const struct list_link *link = list_first(&run->batches.busy);

    for (uint32_t n = run->batches.busy.n; n > 0; n--, link = link->next) {
        const struct batch *other = list_item(link, struct batch, link);

        if (other != b && other->attempt.waits_long) {
            return false;
        }
    }
    return (run->batches.n > 1 && b->generation->plan->database.pool_max > 1) ||
           (empties(b) && has_whole_turn(b));
}

static uint32_t first_lock_ms(const struct run *run)
{
    uint64_t twice = 2 * run->took / 1000;

    return twice > FIRST_LOCK_MS ? (uint32_t)twice : FIRST_LOCK_MS;
}

void conflict_begin(struct batch *b)
{
    uint32_t usual = b->generation->plan->database.timeouts.lock_ms;
    bool waits_long = wants_long_wait(b);
    uint32_t ms =
        is_waiting(b) && !waits_long ? LOCK_SHORT_MS : first_lock_ms(b->run);

    b->attempt.kind = attempt_of(b);
    b->attempt.waits_long = waits_long && may_wait_long(b);
    b->attempt.lock_ms =
        b->attempt.waits_long || (usual > 0 && ms >= usual) ? 0 : ms;
}

void conflict_took(struct run *run, usec took)
{
    run->took = took > run->took ? took : run->took - (run->took - took) / 16;
}

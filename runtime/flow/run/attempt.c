/* See attempt.h. */
#include "flow/run/attempt.h"

#include <stdio.h>

#include "flow/batch/measure.h"
#include "flow/batch/poison.h"
#include "flow/batch/stages.h"
#include "flow/letters/letters.h"
#include "flow/run/compare.h"
#include "flow/run/conflict.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "flow/run/lease_halt.h"
#include "flow/run/outcome.h"
#include "flow/run/row_cache.h"
#include "flow/run/weight.h"
#include "flow/show/show.h"
#include "flow/table/reader.h"
#include "flow/table/table_locks.h"

/* ---- what is queued ---- */

/* Is it loaded in this step? Where all is to be in one snapshot, or locked, all
 * is loaded inside the transaction. */
static bool is_loaded(const struct batch *b, const struct rows *r,
                      enum plan_exact exact)
{
    return batch_loads(r, exact) ||
           (b->attempt.kind != ATTEMPT_USUAL && exact == EXACT_SHARED &&
            batch_loads(r, EXACT_ALIGNED));
}

static void queue_loads(struct batch *b, enum plan_exact exact)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (is_loaded(b, &b->rows[i], exact)) {
            reader_load(&b->rows[i], b->attempt.conn,
                        b->attempt.kind == ATTEMPT_LOCKED);
        }
    }
}

/* Results of queue_loads come in the same order, from [at] on. */
static bool read_loads(struct batch *b, enum plan_exact exact,
                       const struct pgreply *reply, int at, struct err *e)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        struct rows *r = &b->rows[i];

        if (is_loaded(b, r, exact) &&
            !reader_loaded(r, reply->results[at++], e)) {
            return false;
        }
    }
    return true;
}

/* A wait for locks that is to be short is so for this transaction alone, and not for
 * those of tables: who has them is a transaction of this pipeline, and ends by
 * itself. */
static void queue_begin(struct batch *b, bool is_to_write)
{
    char set[64];

    pgconn_add_sql(b->attempt.conn,
                   b->attempt.kind == ATTEMPT_PROOF
                       ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
                       : "BEGIN");
    b->attempt.n_begun = 1;
    b->attempt.begun_at = worker_now(b->run->worker);
    if (is_to_write) {
        b->attempt.n_begun +=
            (int)table_locks_add(b->rows, b->n_rows, b->attempt.conn);
    }
    if (b->attempt.lock_ms) {
        snprintf(set, sizeof(set), "SET LOCAL lock_timeout = %u",
                 b->attempt.lock_ms);
        pgconn_add_sql(b->attempt.conn, set);
        b->attempt.n_begun++;
    }
}

/* Positions first: the row lock makes a successor's claim wait for us, and a
 * fenced batch fails before it does any work. */
static int queue_positions(struct batch *b)
{
    int n = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (batch_moves(b, l)) {
            b->kind->place(b, l);
            n++;
        }
    }
    return n;
}

/* ---- folds ---- */

/* NEXT_ON: the rows are as they are to be written, unless b->scripts.is_short. */
static struct next fold(struct batch *b)
{
    usec since = worker_now(b->run->worker);
    struct err e;
    bool ok;

    if (compare_is_outdated(b)) {
        return next_again(0);
    }
    poison_scripts_begin(b);
    ok = batch_fold(b, &e);
    poison_scripts_end();
    measure_step(&b->run->worker->show, b, STAGE_LUA, since);
    if (batch_is_over(b)) {
        return isolate_over(b);
    }
    if (!ok) {
        return outcome_refused(b, &e);
    }
    if (b->failures.must_wait) {
        return row_cache_must_repeat(b, NULL) ? next_again(0) : outcome_wait(b);
    }
    if (b->scripts.is_short) {
        return next_is(NEXT_ON);
    }
    batch_set_ends(b);
    return weight_fits(b, letters_make(b, b->kind->header_at), &e)
               ? next_is(NEXT_ON)
               : outcome_too_much(b, &e);
}

/* Before anything is locked. */
static struct next try_functions(struct batch *b)
{
    usec since = worker_now(b->run->worker);
    bool ok;

    if (b->n_table_sets == 0 || b->scripts.is_tried) {
        return next_is(NEXT_ON);
    }
    poison_scripts_begin(b);
    ok = batch_try(b);
    poison_scripts_end();
    measure_step(&b->run->worker->show, b, STAGE_LUA, since);
    return ok ? next_is(NEXT_ON) : isolate_over(b);
}

/* Rows are locked in one order, so those that came up behind the lock are not
 * just added: all is rolled back and begun again with them. */
static struct next begin_with_more(struct batch *b)
{
    struct err e;

    if (++b->scripts.n_shorts <= BATCH_SHORTS) {
        return next_again(0);
    }
    err_set(&e, ERR_SCRIPT,
            "a batch function asks for more rows each time, by what it reads "
            "in those that it asked for before: %d times are possible",
            BATCH_SHORTS);
    return outcome_refused(b, &e);
}

/* ---- steps ---- */

static struct next queue_writes(struct batch *b)
{
    struct run *run = b->run;
    usec since = worker_now(run->worker);

    writer_begin(&run->writer);
    writer_write(&run->writer, b->rows, b->n_rows, b->attempt.conn);
    reader_verify(b->rows, b->n_rows, b->attempt.conn);
    letters_write(b);
    if (b->kind->end) {
        b->kind->end(b);
    }
    lease_halt_write(b);
    b->cached.keeps = row_cache_may_keep(b);
    compare_check(b, b->cached.keeps);
    b->outcome.n_written = run->writer.n_written;
    b->outcome.n_unchanged = run->writer.n_unchanged;
    b->outcome.has_unloaded_update = run->writer.has_unloaded_update;
    if (b->attempt.kind == ATTEMPT_PROOF) {
        pgconn_add_sql(b->attempt.conn, "ROLLBACK");
    } else {
        pgconn_add_commit(b->attempt.conn);
    }
    measure_step(&b->run->worker->show, b, STAGE_WRITE, since);
    b->attempt.since = worker_now(run->worker);
    return next_ask(BATCH_WRITING);
}

/* Nothing to commit: every lane halts before its first record. */
static bool is_empty(const struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        if (batch_moves(b, &b->input.leases[i])) {
            return false;
        }
    }
    return true;
}

static struct next weigh_keys(struct batch *b)
{
    struct err e;

    return weight_keys_fit(b, &e) ? next_is(NEXT_ON) : outcome_too_much(b, &e);
}

/* Shared rows are locked inside the transaction, so positions are moved before
 * the fold is known to take every record; where a lane halts in the fold, all
 * is rolled back and the shorter batch is done again. */
static struct next open_transaction(struct batch *b)
{
    struct next n = next_is(NEXT_ON);

    batch_set_ends(b);
    if (is_empty(b)) {
        return outcome_empty(b);
    }
    if (b->n_table_sets > 0) { /* they asked for more rows */
        n = weigh_keys(b);
    }
    if (n.kind != NEXT_ON) {
        return n;
    }
    b->attempt.since = worker_now(b->run->worker);
    queue_begin(b, true);
    b->attempt.n_moves = queue_positions(b);
    queue_loads(b, EXACT_SHARED);
    pgconn_limit(b->attempt.conn, weight_of_loads(b));
    return next_ask(BATCH_OPENING);
}

struct next attempt_opened(struct batch *b, const struct pgreply *reply)
{
    int first = b->attempt.n_begun + b->attempt.n_moves;
    uint32_t moved = batch_moved(b);
    struct next n;
    struct err e;

    if (!reply->ok) {
        return outcome_failed(b, reply);
    }
    if (!read_loads(b, EXACT_SHARED, reply, first, &e)) {
        return outcome_refused(b, &e);
    }
    show_stage(&b->run->worker->show, STAGE_LOAD, b->attempt.since);
    n = fold(b);
    if (n.kind != NEXT_ON) {
        return n;
    }
    if (b->scripts.is_short) {
        return begin_with_more(b);
    }
    return batch_moved(b) == moved ? queue_writes(b) : next_again(0);
}

static struct next write_all(struct batch *b)
{
    struct next n = fold(b);

    if (n.kind != NEXT_ON) {
        return n;
    }
    if (b->scripts.is_short) {
        return open_transaction(b);
    }
    if (is_empty(b)) {
        return outcome_empty(b);
    }
    queue_begin(b, true);
    b->attempt.n_moves = queue_positions(b);
    return queue_writes(b);
}

static struct next after_loads(struct batch *b)
{
    struct next n = try_functions(b);

    if (n.kind != NEXT_ON) {
        return n;
    }
    return b->attempt.kind != ATTEMPT_USUAL || batch_has_loads(b, EXACT_SHARED)
               ? open_transaction(b)
               : write_all(b);
}

struct next attempt_loaded(struct batch *b, const struct pgreply *reply)
{
    struct err e;

    if (!reply->ok) {
        return outcome_failed(b, reply);
    }
    if (!read_loads(b, EXACT_ALIGNED, reply, b->attempt.n_begun, &e)) {
        return outcome_refused(b, &e);
    }
    show_stage(&b->run->worker->show, STAGE_LOAD, b->attempt.since);
    return after_loads(b);
}

/* No transaction, but where a wait for a lock of the table is to be short. */
static struct next queue_aligned(struct batch *b)
{
    if (b->attempt.lock_ms) {
        queue_begin(b, false);
    }
    queue_loads(b, EXACT_ALIGNED);
    if (b->attempt.lock_ms) {
        pgconn_add_sql(b->attempt.conn, "ROLLBACK");
    }
    pgconn_limit(b->attempt.conn, weight_of_loads(b));
    return next_ask(BATCH_LOADING);
}

struct next attempt_begin(struct batch *b)
{
    struct next n;

    if (b->tries.has_begun) {
        batch_again(b);
    }
    b->attempt.since = worker_now(b->run->worker);
    row_cache_begin(b);
    conflict_begin(b);
    n = weigh_keys(b);
    if (n.kind != NEXT_ON) {
        return n;
    }
    return b->attempt.kind == ATTEMPT_USUAL && batch_has_loads(b, EXACT_ALIGNED)
               ? queue_aligned(b)
               : after_loads(b);
}

struct next attempt_written(struct batch *b, const struct pgreply *reply)
{
    if (!reply->ok) {
        return outcome_failed(b, reply);
    }
    return b->attempt.kind == ATTEMPT_PROOF
               ? conflict_not_proven(b)
               : (struct next){.kind = NEXT_COMMITTED, .reply = reply};
}

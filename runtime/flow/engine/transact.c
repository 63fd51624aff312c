/* See transact.h. */
#include "flow/engine/transact.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "flow/batch/condemned.h"
#include "flow/batch/measure.h"
#include "flow/engine/compare.h"
#include "flow/engine/conflict.h"
#include "flow/engine/isolate.h"
#include "flow/engine/outcome.h"
#include "flow/engine/recall.h"
#include "flow/engine/weight.h"
#include "flow/show/show.h"
#include "flow/table/reader.h"
#include "model/deadlines.h"
#include "postgres/store/position.h"

/* A reply that takes longer means that the connection is gone in all but
 * name; above statement_timeout, so that the server may say so first. COMMIT
 * is among them: statement_timeout does not end its wait for a standby. */
static usec reply_deadline(const struct batch *b)
{
    return b->engine->plan->database.timeouts.statement_ms * 1000ULL +
           PG_ANSWER_USEC;
}

static void on_written(struct pgconn *c, const struct pgreply *r, void *arg);
static void on_opened(struct pgconn *c, const struct pgreply *r, void *arg);

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

/* A wait for locks that is to be short is so for this transaction alone. */
static void queue_begin(struct batch *b)
{
    char set[64];

    pgconn_add_sql(b->attempt.conn,
                   b->attempt.kind == ATTEMPT_PROOF
                       ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
                       : "BEGIN");
    b->attempt.n_begun = 1;
    b->attempt.begun_at = clock_usec();
    if (b->attempt.lock_ms) {
        snprintf(set, sizeof(set), "SET LOCAL lock_timeout = %u",
                 b->attempt.lock_ms);
        pgconn_add_sql(b->attempt.conn, set);
        b->attempt.n_begun = 2;
    }
}

/* Positions first: the row lock makes a successor's claim wait for us, and a
 * fenced batch fails before it does any work. */
static int queue_positions(struct batch *b)
{
    int n = 0;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (b->is_retry) {
            position_fence(b->attempt.conn, b->engine->plan, l->lane->topic,
                           l->lane->partition, l->epoch, l->start);
            n++;
        } else if (l->end > l->start) {
            const struct position_step step = {.topic = l->lane->topic,
                                               .partition = l->lane->partition,
                                               .epoch = l->epoch,
                                               .from = l->start,
                                               .to = l->end,
                                               .anchor = batch_anchor(b, l),
                                               .settles = l->lane->settles};

            position_move(b->attempt.conn, b->engine->plan, &step);
            n++;
        }
    }
    return n;
}

/* How often a batch function may ask for rows by what it read in rows that it
 * asked for before. */
enum { SHORTS_MOST = 16 };

/* False: the batch was refused, and is no longer ours. */
static bool fold(struct batch *b)
{
    struct engine *g = b->engine;
    usec since = clock_usec();
    struct err e;
    bool ok;

    if (compare_is_outdated(b)) {
        outcome_again(b);
        return false;
    }
    condemned_enter(b);
    ok = batch_fold(b, g->vm, &e);
    condemned_leave();
    measure_step(&b->engine->show, b, STAGE_LUA, since);
    if (batch_is_over(b)) {
        isolate_over(b);
        return false;
    }
    if (!ok) {
        outcome_refused(b, &e);
        return false;
    }
    if (b->failures.must_wait && recall_must_repeat(b, NULL)) {
        outcome_again(b);
        return false;
    }
    if (b->failures.must_wait) {
        outcome_wait(b);
        return false;
    }
    if (b->run.is_short) {
        return true;
    }
    batch_settle(b);
    if (!weight_is_borne(b, &e)) {
        outcome_too_much(b, &e);
        return false;
    }
    return true;
}

/* Before anything is locked. False: the batch is no longer ours. */
static bool try_functions(struct batch *b)
{
    usec since = clock_usec();
    bool ok;

    if (b->n_sets == 0 || b->run.is_tried) {
        return true;
    }
    condemned_enter(b);
    ok = batch_try(b, b->engine->vm);
    condemned_leave();
    measure_step(&b->engine->show, b, STAGE_LUA, since);
    if (!ok) {
        isolate_over(b);
    }
    return ok;
}

/* Rows are locked in one order, so those that came up behind the lock are not
 * just added: all is rolled back and begun again with them. */
static void begin_with_more(struct batch *b)
{
    struct err e;

    if (++b->run.n_shorts <= SHORTS_MOST) {
        outcome_again(b);
        return;
    }
    err_set(&e, ERR_SCRIPT,
            "a batch function asks for more rows each time, by what it reads "
            "in those that it asked for before: %d times are possible",
            SHORTS_MOST);
    outcome_refused(b, &e);
}

static void queue_writes(struct batch *b)
{
    struct engine *g = b->engine;
    usec since = clock_usec();

    writer_begin(&g->writer);
    writer_write(&g->writer, b->rows, b->n_rows, b->attempt.conn);
    reader_verify(b->rows, b->n_rows, b->attempt.conn);
    letters_write(b);
    outcome_write_halts(b);
    b->cached.keeps = recall_may_keep(b);
    compare_check(b, b->cached.keeps);
    b->outcome.n_written = g->writer.n_written;
    b->outcome.n_unchanged = g->writer.n_unchanged;
    b->outcome.has_unloaded_update = g->writer.has_unloaded_update;
    if (b->attempt.kind == ATTEMPT_PROOF) {
        pgconn_add_sql(b->attempt.conn, "ROLLBACK");
    } else {
        pgconn_add_commit(b->attempt.conn);
    }
    measure_step(&b->engine->show, b, STAGE_WRITE, since);
    b->attempt.since = clock_usec();
    engine_move(b, BATCH_WRITING);
    pgconn_flush(b->attempt.conn, reply_deadline(b), on_written, b);
    vm_collect(g->vm);
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

/* False: the batch was refused, and is no longer ours. */
static bool keys_are_borne(struct batch *b)
{
    struct err e;

    if (weight_keys_are_borne(b, &e)) {
        return true;
    }
    outcome_too_much(b, &e);
    return false;
}

/* Shared rows are locked inside the transaction, so positions are moved before
 * the fold is known to take every record; where a lane halts in the fold, all
 * is rolled back and the shorter batch is done again. */
static void open_transaction(struct batch *b)
{
    batch_settle(b);
    if (is_empty(b)) {
        outcome_empty(b);
        return;
    }
    if (b->n_sets > 0 && !keys_are_borne(b)) { /* they asked for more rows */
        return;
    }
    b->attempt.since = clock_usec();
    queue_begin(b);
    b->attempt.n_moves = queue_positions(b);
    queue_loads(b, EXACT_SHARED);
    engine_move(b, BATCH_OPENING);
    pgconn_limit(b->attempt.conn, weight_of_loads(b));
    pgconn_flush(b->attempt.conn, reply_deadline(b), on_opened, b);
}

static void on_opened(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct batch *b = arg;
    uint32_t moved = batch_moved(b);
    struct err e;

    (void)c;
    if (!reply->ok) {
        outcome_failed(b, reply);
        return;
    }
    if (!read_loads(b, EXACT_SHARED, reply,
                    b->attempt.n_begun + b->attempt.n_moves, &e)) {
        outcome_refused(b, &e);
        return;
    }
    show_stage(&b->engine->show, STAGE_LOAD, b->attempt.since);
    if (!fold(b)) {
        return;
    }
    if (b->run.is_short) {
        begin_with_more(b);
    } else if (batch_moved(b) == moved) {
        queue_writes(b);
    } else {
        outcome_again(b);
    }
}

static void write_all(struct batch *b)
{
    if (!fold(b)) {
        return;
    }
    if (b->run.is_short) {
        open_transaction(b);
        return;
    }
    if (is_empty(b)) {
        outcome_empty(b);
        return;
    }
    queue_begin(b);
    b->attempt.n_moves = queue_positions(b);
    queue_writes(b);
}

static void after_loads(struct batch *b)
{
    if (!try_functions(b)) {
        return;
    }
    if (b->attempt.kind != ATTEMPT_USUAL || batch_has_loads(b, EXACT_SHARED)) {
        open_transaction(b);
    } else {
        write_all(b);
    }
}

static void on_loaded(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct batch *b = arg;
    struct err e;

    (void)c;
    if (!reply->ok) {
        outcome_failed(b, reply);
        return;
    }
    if (!read_loads(b, EXACT_ALIGNED, reply, b->attempt.n_begun, &e)) {
        outcome_refused(b, &e);
        return;
    }
    show_stage(&b->engine->show, STAGE_LOAD, b->attempt.since);
    after_loads(b);
}

/* No transaction, but where a wait for a lock of the table is to be short. */
static void queue_aligned(struct batch *b)
{
    b->attempt.n_begun = 0;
    if (b->attempt.lock_ms) {
        queue_begin(b);
    }
    queue_loads(b, EXACT_ALIGNED);
    if (b->attempt.lock_ms) {
        pgconn_add_sql(b->attempt.conn, "ROLLBACK");
    }
}

static void begin(struct batch *b)
{
    if (b->tries.has_begun) {
        batch_again(b);
    }
    b->attempt.since = clock_usec();
    recall_begin(b);
    conflict_begin(b);
    if (!keys_are_borne(b)) {
        return;
    }
    if (b->attempt.kind == ATTEMPT_USUAL && batch_has_loads(b, EXACT_ALIGNED)) {
        queue_aligned(b);
        pgconn_limit(b->attempt.conn, weight_of_loads(b));
        pgconn_flush(b->attempt.conn, reply_deadline(b), on_loaded, b);
    } else {
        after_loads(b);
    }
}

void transact_start(struct batch *b, struct pgconn *c)
{
    b->attempt.conn = c;
    compare_first(b, begin);
}

/* Before COMMIT come the seal, where the tables want one, and the check. */
static void keep_rows(struct batch *b, const struct pgreply *reply)
{
    struct pg_result *const *last = reply->results + reply->n_results - 1;

    if (b->cached.keeps) {
        recall_committed(b, (uint32_t)pg_int(last[-1], 0, 0),
                         !b->engine->tables.shape.seal ||
                             pg_int(last[-2], 0, 0) != 0);
    }
}

static void on_written(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct batch *b = arg;

    (void)c;
    if (reply->ok && b->attempt.kind == ATTEMPT_PROOF) {
        conflict_not_proven(b);
    } else if (reply->ok) {
        show_stage(&b->engine->show, STAGE_COMMIT, b->attempt.since);
        conflict_took(b->engine, clock_usec() - b->attempt.begun_at);
        b->outcome.n_written -= writer_written(b->rows, b->n_rows, reply);
        keep_rows(b, reply);
        outcome_committed(b);
    } else {
        outcome_failed(b, reply);
    }
}

/* The transaction is atomic, so any lane that it moves tells of it, and fences
 * it. All are claimed at first, which waits behind it; when the database refuses
 * that, since somebody else locks the row of one, they are asked in turn. */
static uint32_t resolving_lane(const struct batch *b)
{
    uint32_t i = b->resolve.n_asked % b->input.n_leases;

    for (uint32_t n = 0;
         n < b->input.n_leases && !batch_moves(b, &b->input.leases[i]); n++) {
        i = (i + 1) % b->input.n_leases;
    }
    return i;
}

static void on_resolved(struct pgconn *c, const struct pgreply *reply,
                        void *arg)
{
    struct batch *b = arg;
    struct position *at = b->resolve.positions;

    (void)c;
    if (!reply->ok) {
        outcome_still_unknown(b, &reply->error);
        return;
    }
    if (b->resolve.n_asked > 0) {
        at += resolving_lane(b);
    }
    position_claimed(reply, 1, at,
                     b->resolve.n_asked > 0 ? 1 : b->input.n_leases);
    outcome_resolved(b, b->resolve.positions);
}

void transact_resolve(struct batch *b, struct pgconn *c)
{
    b->attempt.conn = c;
    if (!b->resolve.positions) {
        b->resolve.positions =
            arena_alloc(&b->memory.arena,
                        b->input.n_leases * sizeof(*b->resolve.positions));
    }
    memset(b->resolve.positions, 0,
           b->input.n_leases * sizeof(*b->resolve.positions));
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        b->resolve.positions[i].topic = b->input.leases[i].lane->topic;
        b->resolve.positions[i].partition = b->input.leases[i].lane->partition;
    }
    engine_move(b, BATCH_ASKING);
    pgconn_add_sql(c, "BEGIN");
    if (b->resolve.n_asked > 0) {
        position_claim(c, b->engine->plan, b->engine->owner,
                       b->resolve.positions + resolving_lane(b), 1);
    } else {
        position_claim(c, b->engine->plan, b->engine->owner,
                       b->resolve.positions, b->input.n_leases);
    }
    pgconn_add_commit(c);
    pgconn_flush(c, reply_deadline(b), on_resolved, b);
}

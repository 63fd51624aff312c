/*
 * The steps of a claim; see claim.h for what it is for. The engine calls
 * claim_turn() each turn; what follows are replies:
 *
 *   claim_turn    looks at the topics, takes a connection, collects lanes
 *   on_foreign    no other pipeline is in the group: claim_all() begins
 *   send_round    BEGIN, one UPDATE a lane that raises its epoch, COMMIT
 *   on_claimed    the round is done: the next one has twice as many lanes
 *   refuse_some   a lane was refused, and is left out (left_out.c); the
 *                 rounds go on behind it, with few lanes at first
 *   missing       claim_made.c makes rows for lanes without one; claim_all()
 *   found_decide  (claim_found.c) compares positions with Kafka: lanes are
 *                 read, or halt; where first positions are to be written, it
 *                 runs again behind them
 *   claim_end     gives the connection back
 *
 * What concerns all lanes (a table, a right, the database, Kafka) ends it in
 * claim_failed(); the next claim comes after a pause. A rebalance makes a claim
 * void: its replies are read, and not used.
 */
#include "flow/claim/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/utf8.h"
#include "flow/claim/claim_part.h"
#include "flow/claim/left_out.h"
#include "flow/generation/compared.h"
#include "flow/show/show.h"
#include "flow/waits/waits.h"
#include "model/deadlines.h"
#include "postgres/wire/sqlstate.h"

enum { ALIKE_MOST = 3 };

/* In (topic, partition) order, in which their rows are locked. */
static void collect_lanes(struct claim *c, usec now)
{
    bool is_slow = left_out_is_turn_of_slow(&c->worker->lanes, now);
    uint32_t n = 0;

    for (struct lane *l = c->worker->lanes.first; l; l = l->after) {
        n += left_out_wants_claim(l, now);
    }
    c->lanes = mem_grow(c->lanes, (n + 1) * sizeof(*c->lanes));
    c->claimed = mem_grow(c->claimed, (n + 1) * sizeof(*c->claimed));
    c->partitions = mem_grow(c->partitions, (n + 1) * sizeof(*c->partitions));
    c->offsets = mem_grow(c->offsets, 2 * (n + 1) * sizeof(*c->offsets));
    c->codes = mem_grow(c->codes, (n + 1) * sizeof(*c->codes));
    c->n = 0;
    for (struct lane *l = c->worker->lanes.first; l; l = l->after) {
        if (left_out_wants_claim(l, now) && l->left_out.is_slow == is_slow) {
            c->lanes[c->n] =
                (struct position){.topic = l->topic, .partition = l->partition};
            c->partitions[c->n] = l->kafka;
            c->claimed[c->n++] = l;
            lane_claim(l);
        }
    }
}

void claim_end(struct claim *c)
{
    struct lane *l;

    /* Unless it was told to fail. */
    database_answered(&c->worker->database, &c->ticket);
    database_release(&c->worker->database, &c->conn);
    c->has_looked = false;
    while ((l = lanes_in(&c->worker->lanes, LANE_CLAIMING))) {
        lane_unclaim(l);
    }
    left_out_end(&c->left_out);
    worker_wake(c->worker);
}

/* Not a passing trouble: someone has to change something. */
static bool is_lasting(const struct err *e)
{
    return e->class == ERR_CONFIG || e->class == ERR_SCHEMA;
}

void claim_failed(struct claim *c, const struct err *e)
{
    usec delay = backoff_delay(++c->failures, 2 * BACKOFF_FLOOR_USEC,
                               BACKOFF_CAP_USEC, worker_random(c->worker));

    c->worker->lanes.claim_at = worker_now(c->worker) + delay;
    c->worker->show.counts->errors[e->class]++;
    show_waits(&c->worker->show, "", e->text);
    if (log_once(&c->logged, e->text)) {
        log_line(LOG_WARN, "lanes cannot be claimed; trying again",
                 "lanes=%u retry_ms=%d class=%s error=%s", c->n,
                 (int)(delay / 1000), err_class_name(e->class),
                 log_quote(e->text));
    }
    for (uint32_t i = 0; i < c->n && is_lasting(e); i++) {
        show_halted(page_lane(c->worker->show.page, c->lanes[i].topic,
                              c->lanes[i].partition),
                    e->text);
    }
    claim_end(c);
}

bool claim_has_failed(struct claim *c, const struct pgreply *r)
{
    if (!r->ok) {
        database_outcome(&c->worker->database, &c->ticket, &r->error, "claim");
    }
    if (c->is_void) {
        claim_end(c);
        return true;
    }
    if (r->ok) {
        return false;
    }
    if (database_is_away(&r->error)) {
        /* Said, counted for the breaker, and tried again when it allows. */
        c->worker->show.counts->errors[r->error.class]++;
        claim_end(c);
    } else {
        claim_failed(c, &r->error);
    }
    return true;
}

/* ---- lanes that are left out ---- */

void claim_leave_out(struct claim *c, uint32_t i, const struct err *e)
{
    uint32_t n_behind = --c->n - i;

    left_out_put(&c->left_out, c->worker, c->claimed[i], e,
                 worker_now(c->worker) - c->asked_at);
    memmove(c->lanes + i, c->lanes + i + 1, n_behind * sizeof(*c->lanes));
    memmove(c->claimed + i, c->claimed + i + 1,
            n_behind * sizeof(struct lane *));
    memmove(c->partitions + i, c->partitions + i + 1,
            n_behind * sizeof(struct partition *));
}

void claim_none(struct claim *c)
{
    if (!lanes_has_claimed(&c->worker->lanes)) {
        show_waits(&c->worker->show, "", c->left_out.why);
    }
    claim_end(c);
}

/* By its code it is about the table; but so may a trigger say of a row. When the
 * lanes meet it one after another, and none gets through, it is the table's. */
static bool is_of_table(struct claim *c, const struct err *e)
{
    bool is_like = (strncmp(e->sqlstate, "42", 2) == 0 ||
                    strncmp(e->sqlstate, "3F", 2) == 0) &&
                   !sqlstate_may_be_one(e->sqlstate);

    return e->is_right || (is_like && ++c->n_alike >= ALIKE_MOST);
}

/* The database has answered, and not about the table as a whole. */
static bool is_of_rows(struct claim *c, const struct pgreply *r)
{
    return !r->ok && !c->is_void && r->failed >= c->first &&
           !database_is_away(&r->error) && !is_of_table(c, &r->error);
}

bool claim_is_of_row(struct claim *c, const struct pgreply *r, uint32_t n)
{
    return is_of_rows(c, r) && r->failed < c->first + (int)n;
}

/* ---- rounds ---- */

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg);

static void send_round(struct claim *c)
{
    c->n_made = 0;
    c->some = c->some > c->n - c->at ? c->n - c->at : c->some;
    c->some = c->most > 0 && c->some > c->most ? c->most : c->some;
    c->asked_at = worker_now(c->worker);
    claim_begin(c);
    position_claim(c->conn, c->worker->now->plan, c->worker->owner,
                   c->lanes + c->at, c->some);
    pgconn_add_commit(c->conn);
    pgconn_flush(c->conn, claim_deadline(c), on_claimed, c);
}

void claim_all(struct claim *c)
{
    c->at = 0;
    c->some = c->n;
    send_round(c);
}

/* All rows that there are have been claimed. */
static void missing(struct claim *c)
{
    uint32_t n_missing = 0;
    struct err e;

    err_set(&e, ERR_SCHEMA, "tidemill.lane does not keep new lanes: %.300s",
            compared_own_causes(c->worker->now));
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->lanes[i].found) {
            continue;
        }
        n_missing++;
        if (c->has_created) {
            claim_leave_out(c, i--, &e);
        }
    }
    if (c->n == 0) {
        claim_none(c);
    } else if (n_missing == 0 || c->has_created) {
        found_decide(c);
    } else {
        c->has_created = true;
        made_begin(c);
    }
}

static void next_round(struct claim *c)
{
    if (c->at < c->n) {
        send_round(c);
    } else {
        missing(c);
    }
}

/* What is behind the refused lane was not looked at: it is begun with few. */
static void refuse(struct claim *c, const struct err *e)
{
    c->some = c->refused > c->at ? c->refused - c->at : 1;
    claim_leave_out(c, c->refused, e);
    next_round(c);
}

static void on_holder(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;
    char who[160] = "another transaction, which the server does not show";
    struct err e;

    (void)conn;
    if (c->is_void || (!r->ok && database_is_away(&r->error))) {
        claim_has_failed(c, r);
        return;
    }
    if (r->ok && pg_rows(r->results[c->first]) > 0) {
        snprintf(who, sizeof(who), "%.159s",
                 pg_str(r->results[c->first], 0, 0));
        utf8_clean_line(who);
    }
    err_set(&e, ERR_CONFLICT,
            "its row of tidemill.lane is locked by %s; it is claimed once that "
            "ends",
            who);
    snprintf(e.sqlstate, sizeof(e.sqlstate), "55P03");
    refuse(c, &e);
}

/* Only the COMMIT: a constraint or a trigger that was deferred does not say
 * which row it means. */
static void refuse_some(struct claim *c, const struct pgreply *r)
{
    bool is_commit = r->failed == c->first + (int)c->some;
    struct err e = r->error;

    if (is_commit && c->some > 1) {
        c->some /= 2;
        send_round(c);
        return;
    }
    c->refused = is_commit ? c->at : c->at + (uint32_t)(r->failed - c->first);
    if (sqlstate_is_lock(e.sqlstate)) {
        c->is_hasty = true;
        claim_roll_back(c);
        position_ask_holder(c->conn, c->worker->now->plan,
                            c->lanes[c->refused].topic,
                            c->lanes[c->refused].partition);
        pgconn_flush(c->conn, claim_deadline(c), on_holder, c);
        return;
    }
    err_wrap(&e, "its row of tidemill.lane cannot be claimed");
    refuse(c, &e);
}

/* The answer is gone when the next round's comes. */
static void keep_halts(struct claim *c)
{
    for (uint32_t i = c->at; i < c->at + c->some; i++) {
        const char *why = c->lanes[i].halted;

        c->lanes[i].halted = why ? arena_dup(&c->kept, why, strlen(why)) : NULL;
    }
}

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;

    (void)conn;
    if (is_of_rows(c, r)) {
        refuse_some(c, r);
        return;
    }
    if (!r->ok && r->failed < 0) { /* perhaps it was too much at a time */
        c->most = c->some > 1 ? c->some / 2 : 1;
    }
    if (claim_has_failed(c, r)) {
        return;
    }
    position_claimed(r, c->first, c->lanes + c->at, c->some);
    keep_halts(c);
    c->at += c->some;
    c->n_alike = 0;
    c->some *= 2;
    c->most = c->most >= c->n ? 0 : 2 * c->most;
    next_round(c);
}

static void on_foreign(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;
    struct err e;

    (void)conn;
    if (claim_has_failed(c, r)) {
        return;
    }
    if (pg_rows(r->results[0]) > 0) {
        err_set(
            &e, ERR_CONFIG,
            "the Kafka group '%s' reads topic %s for pipeline '%s' too: each "
            "would silently see half of the records; give this pipeline "
            "('%s') a group of its own, or if it was renamed, its old name",
            c->worker->now->plan->source.group, pg_str(r->results[0], 0, 1),
            pg_str(r->results[0], 0, 0), c->worker->now->plan->name);
        claim_failed(c, &e);
        return;
    }
    topics_known(c->topics, r->results[1]);
    if (c->n == 0) {
        claim_end(c); /* of lanes that are all gone */
        return;
    }
    claim_all(c);
}

void claim_open(struct claim *c, struct worker *w, const struct claim_needs *n)
{
    *c = (struct claim){.worker = w,
                        .halts = n->halts,
                        .topics = n->topics,
                        .waits = n->waits,
                        .publish = n->publish};
    arena_init(&c->kept, 65536);
}

static void leave_out_gone(struct claim *c, usec now)
{
    for (struct lane *l = c->worker->lanes.first; l; l = l->after) {
        const struct topic_state *t = &c->topics->of[l->topic_index];

        if (left_out_wants_claim(l, now) &&
            left_out_gone(c->worker, l, topics_is_gone(t, l->partition))) {
            c->waits->has_leaders = false; /* every second from now on */
        }
    }
}

/* Once a claim, since this runs every turn; and before there is a connection,
 * since Kafka takes longer than the claim. Not for lanes alone that are claimed
 * again and again. */
static void look_once(struct claim *c, usec now)
{
    const struct lane *l = c->has_looked ? NULL : c->worker->lanes.first;

    while (l && (!left_out_wants_claim(l, now) || !left_out_wants_look(l))) {
        l = l->after;
    }
    if (l) {
        c->has_looked = true;
        topics_look(c->topics);
        leave_out_gone(c, now);
    }
}

/* What is asked for all lanes need not be for those that are claimed again and
 * again. */
static void start(struct claim *c)
{
    bool is_again = c->topics->is_listed && c->n > 0;

    for (uint32_t i = 0; i < c->n; i++) {
        is_again &= !left_out_wants_look(c->claimed[i]);
    }
    c->is_void = c->has_created = c->is_hasty = false;
    c->n_unmade = c->n_made = c->n_alike = 0;
    arena_reset(&c->kept);
    if (is_again) {
        claim_all(c);
        return;
    }
    c->asked_at = worker_now(c->worker);
    position_find_foreign(c->conn, c->worker->now->plan);
    position_list(c->conn, c->worker->now->plan);
    pgconn_flush(c->conn, claim_deadline(c), on_foreign, c);
}

void claim_turn(struct claim *c)
{
    usec now = worker_now(c->worker);

    if (c->conn || c->worker->is_stopping || now < c->worker->lanes.claim_at) {
        return;
    }
    topics_tick(c->topics);
    if (!page_has_all(c->worker->show.page)) {
        topics_look(c->topics);
    }
    if (!left_out_any_wants_claim(&c->worker->lanes, now)) {
        return;
    }
    look_once(c, now);
    c->conn = database_take(&c->worker->database, &c->ticket);
    if (c->conn) {
        collect_lanes(c, now);
        start(c);
    }
}

void claim_void(struct claim *c)
{
    c->is_void = c->conn != NULL;
    c->has_looked = false;
    c->failures = 0;
}

void claim_close(struct claim *c)
{
    free(c->lanes);
    free(c->claimed);
    free(c->partitions);
    free(c->offsets);
    free(c->codes);
    free(c->made);
    arena_close(&c->kept);
}

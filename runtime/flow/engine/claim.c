/* See claim.h. */
#include "flow/engine/claim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/retry.h"
#include "base/utf8.h"
#include "flow/engine/engine.h"
#include "flow/engine/found.h"
#include "flow/engine/left_out.h"
#include "flow/engine/made.h"
#include "flow/generation/compared.h"
#include "flow/show/show.h"
#include "model/deadlines.h"
#include "postgres/wire/sqlstate.h"

enum { ALIKE_MOST = 3 };

/* In (topic, partition) order, in which their rows are locked. */
static void collect_lanes(struct engine *g, usec now)
{
    struct claim *c = &g->claim;
    bool is_slow = left_out_is_turn_of_slow(&g->worker.lanes, now);
    uint32_t n = 0;

    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        n += left_out_wants_claim(l, now);
    }
    c->lanes = mem_grow(c->lanes, (n + 1) * sizeof(*c->lanes));
    c->claimed = mem_grow(c->claimed, (n + 1) * sizeof(*c->claimed));
    c->partitions = mem_grow(c->partitions, (n + 1) * sizeof(*c->partitions));
    c->offsets = mem_grow(c->offsets, 2 * (n + 1) * sizeof(*c->offsets));
    c->codes = mem_grow(c->codes, (n + 1) * sizeof(*c->codes));
    c->n = 0;
    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        if (left_out_wants_claim(l, now) && l->left_out.is_slow == is_slow) {
            c->lanes[c->n] =
                (struct position){.topic = l->topic, .partition = l->partition};
            c->partitions[c->n] = l->kafka;
            c->claimed[c->n++] = l;
            lane_claim(l);
        }
    }
}

void claim_end(struct engine *g)
{
    struct lane *l;

    /* Unless it was told to fail. */
    database_answered(&g->worker.database, &g->claim.ticket);
    database_release(&g->worker.database, &g->claim.conn);
    g->claim.has_looked = false;
    while ((l = lanes_in(&g->worker.lanes, LANE_CLAIMING))) {
        lane_unclaim(l);
    }
    left_out_end(&g->claim.left_out);
    worker_wake(&g->worker);
}

/* Not a passing trouble: someone has to change something. */
static bool is_lasting(const struct err *e)
{
    return e->class == ERR_CONFIG || e->class == ERR_SCHEMA;
}

void claim_failed(struct engine *g, const struct err *e)
{
    struct claim *c = &g->claim;
    usec delay = retry_delay(++c->failures, 2 * BACKOFF_FLOOR_USEC,
                             BACKOFF_CAP_USEC, worker_random(&g->worker));

    g->worker.lanes.claim_at = worker_now(&g->worker) + delay;
    g->worker.show.counts->errors[e->class]++;
    show_waits(&g->worker.show, "", e->text);
    if (log_once(&c->told, e->text)) {
        log_line(LOG_WARN, "lanes cannot be claimed; trying again",
                 "lanes=%u retry_ms=%d class=%s error=%s", c->n,
                 (int)(delay / 1000), err_class_name(e->class),
                 log_quote(e->text));
    }
    for (uint32_t i = 0; i < c->n && is_lasting(e); i++) {
        show_halted(page_lane(g->worker.show.page, c->lanes[i].topic,
                              c->lanes[i].partition),
                    e->text);
    }
    claim_end(g);
}

bool claim_has_failed(struct engine *g, const struct pgreply *r)
{
    if (!r->ok) {
        database_told(&g->worker.database, &g->claim.ticket, &r->error,
                      "claim");
    }
    if (g->claim.is_void) {
        claim_end(g);
        return true;
    }
    if (r->ok) {
        return false;
    }
    if (database_is_away(&r->error)) {
        /* Said, counted for the breaker, and tried again when it allows. */
        g->worker.show.counts->errors[r->error.class]++;
        claim_end(g);
    } else {
        claim_failed(g, &r->error);
    }
    return true;
}

/* ---- lanes that are left out ---- */

void claim_leave_out(struct engine *g, uint32_t i, const struct err *e)
{
    struct claim *c = &g->claim;
    uint32_t n_behind = --c->n - i;

    left_out_put(&c->left_out, g->worker.source, &g->worker.show, c->claimed[i],
                 e, worker_now(&g->worker) - c->asked_at,
                 worker_random(&g->worker));
    memmove(c->lanes + i, c->lanes + i + 1, n_behind * sizeof(*c->lanes));
    memmove(c->claimed + i, c->claimed + i + 1,
            n_behind * sizeof(struct lane *));
    memmove(c->partitions + i, c->partitions + i + 1,
            n_behind * sizeof(struct partition *));
}

void claim_none(struct engine *g)
{
    if (!lanes_has_claimed(&g->worker.lanes)) {
        show_waits(&g->worker.show, "", g->claim.left_out.why);
    }
    claim_end(g);
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
static bool is_of_rows(struct engine *g, const struct pgreply *r)
{
    return !r->ok && !g->claim.is_void && r->failed >= g->claim.first &&
           !database_is_away(&r->error) && !is_of_table(&g->claim, &r->error);
}

bool claim_is_of_row(struct engine *g, const struct pgreply *r, uint32_t n)
{
    return is_of_rows(g, r) && r->failed < g->claim.first + (int)n;
}

/* ---- rounds ---- */

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg);

static void send_round(struct engine *g)
{
    struct claim *c = &g->claim;

    c->n_made = 0;
    c->some = c->some > c->n - c->at ? c->n - c->at : c->some;
    c->some = c->most > 0 && c->some > c->most ? c->most : c->some;
    c->asked_at = worker_now(&g->worker);
    claim_begin(g);
    position_claim(c->conn, g->worker.now->plan, g->worker.owner,
                   c->lanes + c->at, c->some);
    pgconn_add_commit(c->conn);
    pgconn_flush(c->conn, claim_deadline(g), on_claimed, g);
}

void claim_all(struct engine *g)
{
    g->claim.at = 0;
    g->claim.some = g->claim.n;
    send_round(g);
}

/* All rows that there are have been claimed. */
static void missing(struct engine *g)
{
    struct claim *c = &g->claim;
    uint32_t n_missing = 0;
    struct err e;

    err_set(&e, ERR_SCHEMA, "tidemill.lane does not keep new lanes: %.300s",
            compared_own_causes(g->worker.now));
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->lanes[i].found) {
            continue;
        }
        n_missing++;
        if (c->has_created) {
            claim_leave_out(g, i--, &e);
        }
    }
    if (c->n == 0) {
        claim_none(g);
    } else if (n_missing == 0 || c->has_created) {
        found_judge(g);
    } else {
        c->has_created = true;
        made_begin(g);
    }
}

static void next_round(struct engine *g)
{
    struct claim *c = &g->claim;

    if (c->at < c->n) {
        send_round(g);
    } else {
        missing(g);
    }
}

/* What is behind the refused lane was not looked at: it is begun with few. */
static void refuse(struct engine *g, const struct err *e)
{
    struct claim *c = &g->claim;

    c->some = c->refused > c->at ? c->refused - c->at : 1;
    claim_leave_out(g, c->refused, e);
    next_round(g);
}

static void on_holder(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct claim *c = &g->claim;
    char who[160] = "another transaction, which the server does not show";
    struct err e;

    (void)conn;
    if (c->is_void || (!r->ok && database_is_away(&r->error))) {
        claim_has_failed(g, r);
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
    refuse(g, &e);
}

/* Only the COMMIT: a constraint or a trigger that was deferred does not say
 * which row it means. */
static void refuse_some(struct engine *g, const struct pgreply *r)
{
    struct claim *c = &g->claim;
    bool is_commit = r->failed == c->first + (int)c->some;
    struct err e = r->error;

    if (is_commit && c->some > 1) {
        c->some /= 2;
        send_round(g);
        return;
    }
    c->refused = is_commit ? c->at : c->at + (uint32_t)(r->failed - c->first);
    if (sqlstate_is_lock(e.sqlstate)) {
        c->is_hasty = true;
        claim_roll_back(c);
        position_ask_holder(c->conn, g->worker.now->plan,
                            c->lanes[c->refused].topic,
                            c->lanes[c->refused].partition);
        pgconn_flush(c->conn, claim_deadline(g), on_holder, g);
        return;
    }
    err_wrap(&e, "its row of tidemill.lane cannot be claimed");
    refuse(g, &e);
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
    struct engine *g = arg;
    struct claim *c = &g->claim;

    (void)conn;
    if (is_of_rows(g, r)) {
        refuse_some(g, r);
        return;
    }
    if (!r->ok && r->failed < 0) { /* perhaps it was too much at a time */
        c->most = c->some > 1 ? c->some / 2 : 1;
    }
    if (claim_has_failed(g, r)) {
        return;
    }
    position_claimed(r, c->first, c->lanes + c->at, c->some);
    keep_halts(c);
    c->at += c->some;
    c->n_alike = 0;
    c->some *= 2;
    c->most = c->most >= c->n ? 0 : 2 * c->most;
    next_round(g);
}

static void on_foreign(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct err e;

    (void)conn;
    if (claim_has_failed(g, r)) {
        return;
    }
    if (pg_rows(r->results[0]) > 0) {
        err_set(
            &e, ERR_CONFIG,
            "the Kafka group '%s' reads topic %s for pipeline '%s' too: each "
            "would silently see half of the records; give this pipeline "
            "('%s') a group of its own, or if it was renamed, its old name",
            g->worker.now->plan->source.group, pg_str(r->results[0], 0, 1),
            pg_str(r->results[0], 0, 0), g->worker.now->plan->name);
        claim_failed(g, &e);
        return;
    }
    topics_known(g, r->results[1]);
    if (g->claim.n == 0) {
        claim_end(g); /* of lanes that are all gone */
        return;
    }
    claim_all(g);
}

void claim_open(struct claim *c, uint32_t n_topics)
{
    c->n_topics = n_topics;
    c->topics = mem_zero(n_topics + 1, sizeof(*c->topics));
    arena_init(&c->kept, 65536);
}

/* Nobody tells what a partition without a leader holds: kafka/topics.c sees when
 * it has one. */
static void leave_out_gone(struct engine *g, usec now)
{
    for (struct lane *l = g->worker.lanes.first; l; l = l->after) {
        const struct topic_state *t = &g->claim.topics[l->topic_index];

        if (left_out_wants_claim(l, now) &&
            left_out_gone(g->worker.source, l, topics_is_gone(t, l->partition),
                          now)) {
            g->waits.has_leaders = false; /* every second from now on */
        }
    }
}

/* Once a claim, since this runs every turn; and before there is a connection,
 * since Kafka takes longer than the claim. Not for lanes alone that are claimed
 * again and again. */
static void look_once(struct engine *g, usec now)
{
    const struct lane *l = g->claim.has_looked ? NULL : g->worker.lanes.first;

    while (l && (!left_out_wants_claim(l, now) || !left_out_wants_look(l))) {
        l = l->after;
    }
    if (l) {
        g->claim.has_looked = true;
        topics_look(g);
        leave_out_gone(g, now);
    }
}

/* What is asked for all lanes need not be for those that are claimed again and
 * again. */
static void start(struct engine *g)
{
    struct claim *c = &g->claim;
    bool is_again = c->is_listed && c->n > 0;

    for (uint32_t i = 0; i < c->n; i++) {
        is_again &= !left_out_wants_look(c->claimed[i]);
    }
    c->is_void = c->has_created = c->is_hasty = false;
    c->n_unmade = c->n_made = c->n_alike = 0;
    arena_reset(&c->kept);
    if (is_again) {
        claim_all(g);
        return;
    }
    c->asked_at = worker_now(&g->worker);
    position_find_foreign(c->conn, g->worker.now->plan);
    position_list(c->conn, g->worker.now->plan);
    pgconn_flush(c->conn, claim_deadline(g), on_foreign, g);
}

void claim_turn(struct engine *g)
{
    struct claim *c = &g->claim;
    usec now = worker_now(&g->worker);

    if (c->conn || g->worker.is_stopping || now < g->worker.lanes.claim_at) {
        return;
    }
    topics_tick(g);
    if (!g->worker.show.page->all_lanes) {
        topics_look(g);
    }
    if (!left_out_any_wants_claim(&g->worker.lanes, now)) {
        return;
    }
    look_once(g, now);
    c->conn = database_take(&g->worker.database, &c->ticket);
    if (c->conn) {
        collect_lanes(g, now);
        start(g);
    }
}

void claim_void(struct engine *g)
{
    g->claim.is_void = g->claim.conn != NULL;
    g->claim.has_looked = false;
    g->claim.failures = 0;
}

void claim_close(struct claim *c)
{
    free(c->lanes);
    free(c->claimed);
    free(c->partitions);
    free(c->offsets);
    free(c->codes);
    free(c->made);
    free(c->topics);
    arena_close(&c->kept);
}

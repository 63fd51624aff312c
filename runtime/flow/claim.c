/* See claim.h. */
#include "flow/claim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/engine.h"
#include "flow/progress.h"
#include "flow/retry.h"

/* A claim waits behind a zombie's transaction; the server's lock_timeout ends
 * that first. */
static usec claim_deadline(const struct engine *g)
{
    return g->plan->database.timeouts.lock_ms * 1000ULL + 10000000;
}

static bool wants_claim(const struct lane *l)
{
    return (l->is_offered || (l->is_assigned && l->needs_claim)) &&
           !l->is_leased;
}

static uint32_t count_lanes(struct engine *g)
{
    uint32_t n = 0;

    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        n += wants_claim(l);
    }
    return n;
}

static void collect_lanes(struct engine *g, uint32_t n)
{
    struct claim *c = &g->claim;
    uint32_t at = 0;

    c->lanes = mem_grow(c->lanes, (n + 1) * sizeof(*c->lanes));
    c->claimed = mem_grow(c->claimed, (n + 1) * sizeof(*c->claimed));
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        if (wants_claim(l)) {
            c->lanes[at] =
                (struct position){.topic = l->topic, .partition = l->partition};
            c->claimed[at++] = l;
        }
    }
    c->n = at;
}

static void end_claim(struct engine *g)
{
    database_answered(g, &g->claim.ticket); /* unless it was told to fail */
    pgpool_give(g->pool, g->claim.conn);
    g->claim.conn = NULL;
    loop_idle_set(g->idle, true);
}

/* Not a passing trouble: someone has to change something. */
static bool is_lasting(const struct err *e)
{
    return e->class == ERR_CONFIG || e->class == ERR_SCHEMA;
}

/* All lanes wait; the claim is tried again after a while. */
static void claim_failed(struct engine *g, const struct err *e)
{
    struct claim *c = &g->claim;
    usec delay =
        retry_delay(++c->failures, 200000, 4000000, (uint32_t)clock_usec());

    c->retry_at = clock_usec() + delay;
    g->counts->errors[e->class]++;
    progress_waits(g, "", e->text);
    log_line(LOG_WARN, "lanes cannot be claimed; trying again",
             "lanes=%u retry_ms=%d class=%s error=%s", c->n,
             (int)(delay / 1000), err_class_name(e->class), log_quote(e->text));
    for (uint32_t i = 0; i < c->n && is_lasting(e); i++) {
        progress_halted(
            page_lane(g->page, c->lanes[i].topic, c->lanes[i].partition),
            e->text);
    }
    end_claim(g);
}

static bool failed(struct engine *g, const struct pgreply *r)
{
    if (!r->ok) {
        database_told(g, &g->claim.ticket, &r->error, "claim");
    }
    if (g->claim.is_void) {
        end_claim(g);
        return true;
    }
    if (r->ok) {
        return false;
    }
    if (database_is_away(&r->error)) {
        /* Said, counted for the breaker, and tried again when it allows. */
        g->counts->errors[r->error.class]++;
        end_claim(g);
    } else {
        claim_failed(g, &r->error);
    }
    return true;
}

static bool must_say_start(struct engine *g, struct err *e)
{
    for (uint32_t i = 0; i < g->plan->n_projections; i++) {
        const struct plan_projection *p = &g->plan->projections[i];

        if (g->has_rows[i]) {
            return err_set(e, ERR_CONFIG,
                           "table %s has rows, but this pipeline has no "
                           "position yet: say in kafka{} where to start: "
                           "start = 'earliest', 'latest', 'group' or a time "
                           "(or empty the table)",
                           p->table);
        }
    }
    return true;
}

static bool start_offset(struct engine *g, struct lane *l, int64_t *out,
                         struct err *e)
{
    const struct plan_source *s = &g->plan->source;
    int64_t low, high;

    if (!source_watermarks(g->source, l, &low, &high, e) ||
        (s->start == START_UNSAID && !must_say_start(g, e))) {
        return false;
    }
    *out = s->start == START_LATEST ? high : low;
    if (s->start == START_TIMESTAMP) {
        return source_offset_at(g->source, l, s->start_ms, out, e);
    }
    if (s->start == START_GROUP) {
        if (!source_committed(g->source, l, out, e)) {
            return false;
        }
        *out = *out < low ? low : *out;
    }
    return true;
}

/* What the broker has must reach down to the position. */
static bool check_range(const struct lane *l, int64_t low, int64_t high,
                        struct err *e)
{
    if (l->position < low) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: records %" PRId64 " to %" PRId64
                       " are gone from "
                       "Kafka (retention) before they were applied; nothing is "
                       "skipped by itself: restore them, or set next_offset in "
                       "tidemill.lane to go on without them",
                       l->topic, l->partition, l->position, low - 1);
    }
    if (l->position > high) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the position %" PRId64
                       " is behind the end of the "
                       "partition (%" PRId64 "): the topic was re-created or "
                       "truncated; set next_offset in tidemill.lane to where "
                       "reading should go on",
                       l->topic, l->partition, l->position, high);
    }
    return true;
}

/* Lanes know where they stand; true when every lane could be looked at. */
static bool set_lanes(struct engine *g, struct err *bad, struct err *e)
{
    struct claim *c = &g->claim;

    for (uint32_t i = 0; i < c->n; i++) {
        struct lane *l = c->claimed[i];
        int64_t low, high;

        l->position = c->lanes[i].next_offset;
        l->epoch = c->lanes[i].epoch;
        if (!source_watermarks(g->source, l, &low, &high, e)) {
            return false;
        }
        progress_range(g, l, high);
        bad[i].class = ERR_NONE;
        check_range(l, low, high, &bad[i]);
    }
    return true;
}

static bool start_reading(struct engine *g, struct err *e)
{
    struct claim *c = &g->claim;
    bool has_offered = false;

    for (uint32_t i = 0; i < c->n; i++) {
        struct lane *l = c->claimed[i];

        has_offered |= l->is_offered;
        l->needs_claim = false;
        if (!l->is_offered && !source_seek(g->source, l, e)) {
            l->needs_claim = true;
            return false;
        }
    }
    return !has_offered || source_assign(g->source, e);
}

static void finish(struct engine *g)
{
    struct claim *c = &g->claim;
    struct err *bad = mem_zero(c->n + 1, sizeof(*bad));
    struct err e;

    if (!set_lanes(g, bad, &e) || !start_reading(g, &e)) {
        claim_failed(g, &e);
        free(bad);
        return;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (bad[i].class != ERR_NONE) {
            engine_halt(g, c->claimed[i], &bad[i]);
        }
    }
    free(bad);
    c->failures = 0;
    progress_ready(g);
    log_line(LOG_INFO, "lanes claimed", "lanes=%u", c->n);
    end_claim(g);
}

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg);

static void send_claim(struct engine *g)
{
    struct claim *c = &g->claim;

    position_claim(c->conn, g->plan, g->owner, c->lanes, c->n);
    pgconn_flush(c->conn, claim_deadline(g), on_claimed, g);
}

static void on_created(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    (void)conn;
    if (!failed(arg, r)) {
        send_claim(arg);
    }
}

/* Lanes that tidemill.lane does not know yet get their first position. */
static bool create_missing(struct engine *g, uint32_t *n_created, struct err *e)
{
    struct claim *c = &g->claim;

    *n_created = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->lanes[i].found) {
            continue;
        }
        /* Only the numbers may fail; nothing is queued before they are known. */
        if (!start_offset(g, c->claimed[i], &c->lanes[i].next_offset, e)) {
            return false;
        }
        (*n_created)++;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->lanes[i].found) {
            position_create(c->conn, g->plan, c->lanes[i].topic,
                            c->lanes[i].partition, c->lanes[i].next_offset);
        }
    }
    return true;
}

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct claim *c = &g->claim;
    uint32_t n_created = 0;
    struct err e;

    (void)conn;
    if (failed(g, r)) {
        return;
    }
    position_claimed(r, c->lanes, c->n);
    if (!create_missing(g, &n_created, &e)) {
        claim_failed(g, &e);
    } else if (n_created == 0) {
        finish(g);
    } else if (c->has_created) {
        err_set(&e, ERR_SCHEMA,
                "tidemill.lane does not keep new lanes: is there "
                "a trigger or a row security policy on it?");
        claim_failed(g, &e);
    } else {
        c->has_created = true;
        pgconn_flush(c->conn, claim_deadline(g), on_created, g);
    }
}

static void on_foreign(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct err e;

    (void)conn;
    if (failed(g, r)) {
        return;
    }
    if (pg_rows(r->results[0]) > 0) {
        err_set(
            &e, ERR_CONFIG,
            "the Kafka group '%s' reads topic %s for pipeline '%s' too: each "
            "would silently see half of the records; give this pipeline "
            "('%s') a group of its own",
            g->plan->source.group, pg_str(r->results[0], 0, 1),
            pg_str(r->results[0], 0, 0), g->plan->name);
        claim_failed(g, &e);
        return;
    }
    send_claim(g);
}

static bool list_topics(struct engine *g, struct err *e)
{
    int32_t *n = mem_zero(g->plan->source.n_topics + 1, sizeof(*n));
    bool ok = source_partitions(g->source, n, e);

    for (uint32_t i = 0; ok && i < g->plan->source.n_topics; i++) {
        if (n[i] == 0) {
            ok = err_set(e, ERR_CONFIG,
                         "topic %s does not exist on %s: create it, or correct "
                         "`topics` in %s",
                         g->plan->source.topics[i], g->plan->source.brokers,
                         g->plan->path);
        }
    }
    if (ok) {
        progress_all_lanes(g, n);
    }
    free(n);
    return ok;
}

static void look_for_topics(struct engine *g)
{
    struct err e;

    if (list_topics(g, &e)) {
        return;
    }
    g->claim.retry_at = clock_usec() + 2000000;
    g->counts->errors[e.class]++;
    if (strncmp(g->counts->waiting_for, e.text, 100) != 0) {
        log_line(LOG_WARN, "waiting for Kafka", "error=%s", log_quote(e.text));
    }
    progress_reason(g, "", e.text);
}

void claim_turn(struct engine *g)
{
    struct claim *c = &g->claim;
    uint32_t n = count_lanes(g);

    if (c->conn || g->is_stopping || clock_usec() < c->retry_at) {
        return;
    }
    if (!g->page->all_lanes) {
        look_for_topics(g);
    }
    if (n == 0 || !(c->conn = database_take(g, &c->ticket))) {
        return;
    }
    c->is_void = c->has_created = false;
    collect_lanes(g, n);
    position_find_foreign(c->conn, g->plan);
    pgconn_flush(c->conn, claim_deadline(g), on_foreign, g);
}

void claim_void(struct engine *g)
{
    g->claim.is_void = g->claim.conn != NULL;
    g->claim.failures = 0;
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        if (!l->is_assigned && !l->is_offered) {
            progress_lost(g, l);
        }
    }
}

void claim_close(struct claim *c)
{
    free(c->lanes);
    free(c->claimed);
}

/* See claim.h. */
#include "flow/claim.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "flow/beginning.h"
#include "flow/engine.h"
#include "flow/progress.h"
#include "flow/retry.h"
#include "flow/verify.h"

/* A claim waits behind a zombie's transaction; the server's lock_timeout ends
 * that first. */
static usec claim_deadline(const struct engine *g)
{
    return g->plan->database.timeouts.lock_ms * 1000ULL + 10000000;
}
/* How often partitions that are gone are looked for. */
static const usec UNSHELVE_USEC = 5 * 1000000ULL;

static bool wants_claim(const struct lane *l)
{
    return (l->is_offered || (l->is_assigned && l->needs_claim)) &&
           !l->is_leased && !l->is_gone;
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
    c->offsets = mem_grow(c->offsets, 2 * (n + 1) * sizeof(*c->offsets));
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
    g->claim.has_looked = false;
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
    if (log_is_news(c->told, e->text)) {
        log_line(LOG_WARN, "lanes cannot be claimed; trying again",
                 "lanes=%u retry_ms=%d class=%s error=%s", c->n,
                 (int)(delay / 1000), err_class_name(e->class),
                 log_quote(e->text));
    }
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

/* ---- what is found is judged ---- */

struct found {
    struct verify_facts facts;
    struct err bad; /* why the lane must halt; class ERR_NONE: it need not */
    bool was_halted;
};

/* What Kafka was told only serves to see an older database: without an answer
 * the claim goes on. */
static void ask_told(struct engine *g, struct found *found)
{
    struct claim *c = &g->claim;
    struct err e;
    bool ok = source_committed(g->source, c->claimed, c->n, c->offsets, &e);

    if (!ok) {
        log_line(LOG_WARN, "whether the database is an older one is not known",
                 "error=%s", log_quote(e.text));
    }
    for (uint32_t i = 0; i < c->n; i++) {
        found[i].facts.has_told = ok;
        found[i].facts.told = ok ? c->offsets[i] : -1;
    }
}

static bool ask_range(struct engine *g, struct found *found, struct err *e)
{
    struct claim *c = &g->claim;
    int64_t *low = c->offsets, *high = c->offsets + c->n;
    bool ok = source_watermarks(g->source, c->claimed, c->n, low, high, e);

    for (uint32_t i = 0; i < c->n && ok; i++) {
        found[i].facts.low = low[i];
        found[i].facts.high = high[i];
    }
    return ok;
}

/* What another worker of this run saw says where the lane stood when it was
 * claimed last: nothing of what came behind a claim of others. */
static void know(struct engine *g, const struct lane *l,
                 const struct position *at, struct verify_facts *f)
{
    progress_seen(g, l, &f->epoch, &f->position);
    f->was_rewound = l->epoch == f->epoch ? l->was_rewound : true;
    if (at->epoch != f->epoch + 1) {
        f->position = l->position;
    }
}

/* True when every lane could be looked at; nothing is changed before. */
static bool judge(struct engine *g, struct found *found, struct err *e)
{
    struct claim *c = &g->claim;

    ask_told(g, found);
    if (!ask_range(g, found, e)) {
        return false;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        struct verify_facts *f = &found[i].facts;
        const struct page_lane *p = progress_page(g, c->claimed[i]);

        know(g, c->claimed[i], &c->lanes[i], f);
        found[i].was_halted = p && p->state == LANE_HALTED;
        found[i].bad.class = ERR_NONE;
        halt_recall(g, &c->lanes[i]);
        verify_position(&c->lanes[i], f, &found[i].bad);
    }
    return true;
}

static void set_lanes(struct engine *g, const struct found *found)
{
    struct claim *c = &g->claim;

    for (uint32_t i = 0; i < c->n; i++) {
        const struct position *at = &c->lanes[i];
        struct lane *l = c->claimed[i];

        l->position = at->next_offset;
        l->epoch = at->epoch;
        l->was_rewound = at->is_rewound;
        l->settles = verify_settles(at, &found[i].facts);
        l->claim = ++g->n_claims;
        l->anchor = at->anchor;
        l->is_checking = found[i].bad.class == ERR_NONE &&
                         verify_has_anchor(at, &found[i].facts);
    }
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

static void halt_bad(struct engine *g, const struct position *at,
                     struct lane *l, const struct err *bad)
{
    struct page_lane *p;

    if (!at->halted) {
        g->counts->errors[bad->class]++;
        engine_halt_for_person(g, l, bad, false);
        return;
    }
    engine_halt(g, l, bad);
    p = l->page;
    if (p && at->halted_since) {
        p->halted_since = at->halted_since;
    }
}

/* How many lanes are to be settled: queued. */
static uint32_t act(struct engine *g, const struct found *found)
{
    struct claim *c = &g->claim;
    uint32_t n_settled = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        const struct position *at = &c->lanes[i];
        struct lane *l = c->claimed[i];

        l->is_doubted = found[i].bad.class != ERR_NONE;
        progress_range(g, l, found[i].facts.high);
        if (l->is_doubted) {
            halt_bad(g, at, l, &found[i].bad);
        } else if (found[i].was_halted) {
            log_line(LOG_INFO, "lane goes on", "lane=%s/%d position=%" PRId64,
                     l->topic, l->partition, l->position);
        }
        if (verify_settles(at, &found[i].facts)) {
            position_settle(c->conn, g->plan, at);
            n_settled++;
        }
    }
    return n_settled;
}

/* Else the next batch of the lane does it, or another claim: a row that says for
 * weeks that a person has just changed it would be trusted out of a backup. */
static void on_settled(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct claim *c = &g->claim;

    (void)conn;
    for (uint32_t i = 0; r->ok && !c->is_void && i < c->n; i++) {
        c->claimed[i]->was_rewound &= !c->claimed[i]->settles;
    }
    end_claim(g);
}

static void finish(struct engine *g)
{
    struct claim *c = &g->claim;
    struct found *found = mem_zero(c->n + 1, sizeof(*found));
    struct err e;
    bool ok = judge(g, found, &e);

    if (ok) {
        set_lanes(g, found);
        ok = start_reading(g, &e);
    }
    if (!ok) {
        claim_failed(g, &e);
        free(found);
        return;
    }
    c->failures = 0;
    c->told[1] = 0;
    progress_ready(g);
    publish_due(g);
    log_line(LOG_INFO, "lanes claimed", "lanes=%u", c->n);
    if (act(g, found) > 0) {
        pgconn_flush(c->conn, claim_deadline(g), on_settled, g);
    } else {
        end_claim(g);
    }
    free(found);
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

static void on_asked(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct err e;

    (void)conn;
    if (failed(g, r)) {
        return;
    }
    if (beginning_queue(g, r, &e)) {
        pgconn_flush(g->claim.conn, claim_deadline(g), on_created, g);
    } else {
        claim_failed(g, &e);
    }
}

static bool has_all(const struct claim *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->lanes[i].found) {
            return false;
        }
    }
    return true;
}

static void on_claimed(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct claim *c = &g->claim;
    struct err e;

    (void)conn;
    if (failed(g, r)) {
        return;
    }
    position_claimed(r, c->lanes, c->n);
    if (has_all(c)) {
        finish(g);
    } else if (c->has_created) {
        err_set(&e, ERR_SCHEMA, "tidemill.lane does not keep new lanes: %.300s",
                compare_own_causes(g));
        claim_failed(g, &e);
    } else {
        c->has_created = true;
        beginning_ask(g);
        pgconn_flush(c->conn, claim_deadline(g), on_asked, g);
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
            "('%s') a group of its own, or if it was renamed, its old name",
            g->plan->source.group, pg_str(r->results[0], 0, 1),
            pg_str(r->results[0], 0, 0), g->plan->name);
        claim_failed(g, &e);
        return;
    }
    topics_known(g, r->results[1]);
    if (g->claim.n == 0) {
        end_claim(g); /* of lanes that are all gone */
        return;
    }
    send_claim(g);
}

void claim_open(struct claim *c, uint32_t n_topics)
{
    c->topics = mem_zero(n_topics + 1, sizeof(*c->topics));
}

/* Lanes whose partition is not there must not hold up the others; but Kafka
 * may only have been slow to tell. */
static void unshelve(struct engine *g)
{
    usec now = clock_usec();

    if (now < g->claim.unshelve_at) {
        return;
    }
    g->claim.unshelve_at = now + UNSHELVE_USEC;
    g->claim.has_looked = false;
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        l->is_gone = false;
    }
}

/* Nobody tells what a partition without a leader holds, so it is claimed once
 * it has one. */
static void shelve_gone(struct engine *g)
{
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        if (wants_claim(l) &&
            (l->has_no_leader ||
             topics_is_gone(&g->claim.topics[l->topic_index], l->partition))) {
            source_shelve(g->source, l);
        }
    }
}

/* Once a claim, since this runs every turn; and before there is a connection,
 * since Kafka takes longer than the claim. */
static void look_once(struct engine *g)
{
    if (!g->claim.has_looked) {
        g->claim.has_looked = true;
        topics_look(g);
        shelve_gone(g);
    }
}

void claim_turn(struct engine *g)
{
    struct claim *c = &g->claim;

    if (c->conn || g->is_stopping || clock_usec() < c->retry_at) {
        return;
    }
    unshelve(g);
    if (!g->page->all_lanes) {
        topics_look(g);
    }
    if (count_lanes(g) == 0) {
        return;
    }
    look_once(g);
    c->conn = database_take(g, &c->ticket);
    if (!c->conn) {
        return;
    }
    c->is_void = c->has_created = false;
    c->asked_at = clock_usec();
    collect_lanes(g, count_lanes(g));
    position_find_foreign(c->conn, g->plan);
    position_list(c->conn, g->plan);
    pgconn_flush(c->conn, claim_deadline(g), on_foreign, g);
}

void claim_void(struct engine *g)
{
    g->claim.is_void = g->claim.conn != NULL;
    g->claim.has_looked = false;
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
    free(c->offsets);
    free(c->topics);
}

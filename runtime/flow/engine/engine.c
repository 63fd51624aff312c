/*
 * The turns of a worker; see engine.h. on_turn() runs while there is work,
 * on_tick() ten times a second; replies of the database and records of Kafka wake
 * the next turn. A turn does, in this order:
 *
 *   intake_turn         records into inboxes; lanes that came and went
 *   release_known       breaker not closed: records go back to their inboxes
 *   claim_turn          claims lanes without a valid position
 *   letters_turn        reads which keys dead letters hold
 *   letters_retry_turn  begins a retry of dead letters
 *   lease_lanes         begins batches, of the lanes that lease.c picks
 *   decode_some         decodes a slice of one batch, then its keys
 *   wake_waiting        batches whose pause is over are ready again
 *   give_conns          connections: first for batches whose COMMIT is unknown
 *                       (transact_resolve), then for ready ones (transact_start)
 *
 * Only run_move() moves a batch to another state, and so to the list of that
 * state (batches.h). Only run_release() ends a batch; it gives the lanes back.
 */
#include "flow/engine/engine_part.h"

#include "base/log.h"
#include "flow/batch/lease.h"
#include "flow/batch/measure.h"
#include "flow/batch/poison.h"
#include "flow/batch/stages.h"
#include "flow/batch/truncate.h"
#include "flow/generation/compared.h"
#include "flow/rows/unknown.h"
#include "flow/run/held_up.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "flow/run/letters_retry.h"
#include "flow/run/rule.h"
#include "flow/run/transact.h"
#include "flow/show/show.h"
#include "model/deadlines.h"

enum {
    DECODE_SLICE = 2048, /* records a turn: about a millisecond */
    PROBE_RECORDS = 100  /* what a half-open breaker is tried with */
};

static void check_truncates(const struct engine *g, struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];

        if (batch_is_truncate(b, l->first)) {
            truncate_check(b, l, topics_count(&g->topics, l->lane));
        }
    }
}

static void decode_some(struct engine *g)
{
    struct batch *b = batches_first(&g->run.batches.decoding);
    usec since = worker_now(&g->worker);
    bool is_done = batch_decode(b, DECODE_SLICE);

    if (is_done) {
        isolate_refused(b);
        poison_apply(b);
        check_truncates(g, b);
        poison_scripts_begin(b);
        batch_keys(b);
        poison_scripts_end();
    }
    measure_step(&g->worker.show, b, STAGE_DECODE, since);
    if (is_done && batch_is_over(b)) {
        transact_go(b, isolate_over(b));
    } else if (is_done) {
        unknown_tell(b->generation->programs, b->generation->n_programs,
                     b->generation->decoder, &b->memory.arena);
        batch_set_ends(b);
        run_move(b, BATCH_READY);
    }
}

/* Oldest first: a batch that must be resolved holds lanes back. */
static void give_conns(struct engine *g)
{
    struct batch *resolving, *b;

    while ((resolving = batches_due(&g->run.batches.resolving,
                                    worker_now(&g->worker))) ||
           g->run.batches.ready.n) {
        b = resolving ? resolving : batches_first(&g->run.batches.ready);
        struct pgconn *c =
            database_take(&g->worker.database, &b->attempt.ticket);

        if (!c) {
            return;
        }
        if (resolving) {
            transact_resolve(b, c);
        } else {
            transact_start(b, c);
        }
    }
}

static void wake_waiting(struct engine *g, usec now)
{
    struct batch *b;

    while ((b = batches_due(&g->run.batches.waiting, now))) {
        run_move(b, BATCH_READY);
    }
}

static void start_batch(struct engine *g, struct lease *leases, uint32_t n)
{
    struct batch *b = batches_first(&g->run.batches.free);

    for (uint32_t i = 0; i < n; i++) {
        run_lease(leases[i].lane);
    }
    batch_begin(b, g->worker.now, leases, n);
    b->memory.most_bytes = g->worker.now->plan->limits.bytes;
    b->input.leased_at = worker_now(&g->worker);
    b->kind = &batch_of_records;
    run_move(b, BATCH_DECODING);
}

/* A half-open breaker lets one thing through, and what must be resolved goes
 * first. */
static bool may_lease(struct engine *g)
{
    bool is_whole = g->worker.database.breaker.state == BREAKER_CLOSED;
    uint32_t n = g->run.batches.decoding.n + g->run.batches.ready.n +
                 g->run.batches.waiting.n + g->run.batches.resolving.n;

    return g->run.batches.free.n > 0 && !g->worker.is_stopping &&
           database_allows(&g->worker.database) &&
           (is_whole || (n == 0 && !g->claim.conn));
}

static struct plan_limits limits_now(struct engine *g)
{
    struct plan_limits limits = g->worker.now->plan->limits;

    if (g->worker.database.breaker.state != BREAKER_CLOSED) {
        limits.size = limits.size < PROBE_RECORDS ? limits.size : PROBE_RECORDS;
        limits.linger_ms = 0;
    }
    return limits;
}

static void lease_lanes(struct engine *g)
{
    struct lease leases[LEASE_MAX_LANES];
    usec now = worker_now(&g->worker), due = 0;

    lanes_count(&g->worker.lanes);
    while (may_lease(g)) {
        struct plan_limits limits = limits_now(g);
        uint32_t n = lease_pick(&g->worker.lanes, &limits, g->had_alone, now,
                                leases, &due);

        if (n == 0) {
            break;
        }
        g->had_alone = lease_is_alone(leases[0].lane);
        start_batch(g, leases, n);
    }
    if (due && !g->worker.is_stopping) {
        loop_timer_set(g->due, due > now ? due - now : 1);
    }
}

/* Of those with more records than [most]. */
static void release_above(struct list *list, uint32_t most)
{
    struct list_link *l = list_first(list);

    for (uint32_t n = list->n; n > 0; n--) {
        struct batch *b = list_item(l, struct batch, link);

        l = l->next;
        if (b->input.events.n > most) {
            run_release(b);
        }
    }
}

/* The breaker is not closed: records go back to their inboxes, so that a small
 * batch can be the probe; also those of a batch that was under way when it
 * opened, and fails when it is half-open. What must be resolved keeps its
 * lanes. */
static void release_known(struct engine *g)
{
    enum breaker_state state = g->worker.database.breaker.state;
    uint32_t most = state == BREAKER_OPEN ? 0 : PROBE_RECORDS;

    if (state != BREAKER_CLOSED) {
        release_above(&g->run.batches.decoding, most);
        release_above(&g->run.batches.ready, most);
        release_above(&g->run.batches.waiting, most);
    }
}

static bool has_work(const struct engine *g)
{
    return g->run.batches.free.n < g->run.batches.n || g->claim.conn ||
           (g->worker.source && source_inbox_bytes(g->worker.source) > 0);
}

static void on_turn(void *arg)
{
    struct engine *g = arg;

    /* First, so that whatever moves below asks for another turn. */
    loop_idle_set(g->worker.idle, false);
    if (g->worker.source) {
        intake_turn(g);
        release_known(g);
        claim_turn(&g->claim);
        letters_turn(&g->letters);
        letters_retry_turn(&g->run);
        lease_lanes(g);
    }
    if (g->run.batches.decoding.n) {
        decode_some(g);
    }
    wake_waiting(g, worker_now(&g->worker));
    give_conns(g);
    if (!has_work(g)) {
        database_probe(&g->worker.database);
    }
    if (g->run.batches.decoding.n) {
        worker_wake(&g->worker);
    }
}

static void on_wake(void *arg)
{
    struct engine *g = arg;

    worker_wake(&g->worker);
}

static void on_alive(void *arg)
{
    struct engine *g = arg;

    g->worker.show.counts->heartbeat_usec = worker_now(&g->worker);
}

/* Its consumer finds no topic any more. The supervisor starts another one. */
static void end_damaged(struct engine *g)
{
    if (source_cache(g->worker.source) != CACHE_OVER || g->worker.fatal) {
        return;
    }
    log_line(
        LOG_WARN, "the worker ends, and another one begins", "why=%s",
        log_quote("a topic was deleted and made again, and this librdkafka "
                  "(2.4 to 2.9) finds no topic after that"));
    g->worker.fatal = WORKER_FAILED;
    loop_stop(g->worker.loop);
}

static void on_tick(void *arg)
{
    struct engine *g = arg;
    usec now = worker_now(&g->worker);

    if (g->worker.source) {
        halts_tick(&g->halts, now);
        held_up_tick(&g->run, now);
        publish_tick(&g->publish, g->worker.is_stopping, now);
        waits_tick(&g->waits,
                   (struct waits_claim){g->claim.conn ? g->claim.asked_at : 0,
                                        g->claim.n},
                   now);
        end_damaged(g);
        if (now > g->last_commit_note + 1000000) {
            g->last_commit_note = now;
            intake_tell(g);
        }
    }
    database_tick(&g->worker.database);
    gauges_tick(g);
    worker_wake(&g->worker);
}

void engine_join(struct engine *g)
{
    struct err e;

    g->worker.source = source_new(g->worker.loop, &g->worker.now->plan->source,
                                  g->worker.instance, on_wake, g, &e);
    if (!g->worker.source) {
        log_line(LOG_ERROR, "the consumer cannot start", "error=%s",
                 log_quote(e.text));
        g->worker.fatal = WORKER_CONFIG;
        loop_stop(g->worker.loop);
        return;
    }
    source_alive(g->worker.source, on_alive);
    show_waits(&g->worker.show, "starting: ", "the Kafka group gives it lanes");
    waits_open(&g->waits,
               &(struct waits_needs){.source = g->worker.source,
                                     .lanes = &g->worker.lanes,
                                     .show = &g->worker.show,
                                     .plan = g->worker.now->plan,
                                     .instance = g->worker.instance});
}

/* What the keys that wait behind dead letters may take: some millions of them. */
static const uint64_t HELD_BYTES = 1 << 30;

static void explain_unkept(void *arg, const struct err *e, struct err *named)
{
    const struct engine *g = arg;

    compared_is_unkept(g->worker.now, e, named);
}

static bool wants_list(void *arg)
{
    return topics_wants_list(arg);
}

static void listed(void *arg, const struct pg_result *lanes)
{
    topics_known(arg, lanes);
}

static void open_parts(struct engine *g)
{
    halts_open(&g->halts, &g->worker,
               &(struct halts_needs){.wants_list = wants_list,
                                     .listed = listed,
                                     .arg = &g->topics});
    topics_open(&g->topics, &g->worker, &g->halts, &g->waits);
    claim_open(&g->claim, &g->worker,
               &(struct claim_needs){.halts = &g->halts,
                                     .topics = &g->topics,
                                     .waits = &g->waits,
                                     .publish = &g->publish});
    letters_open(&g->letters, &g->worker, &g->halts);
}

static void open_run(struct engine *g)
{
    g->run.worker = &g->worker;
    g->run.halts = &g->halts;
    g->run.letters = &g->letters;
    g->run.publish = &g->publish;
    run_open(&g->run, rule_ask_record);
}

void engine_open(struct engine *g)
{
    const struct generation *n = g->worker.now;

    open_parts(g);
    database_open(&g->worker.database,
                  &(struct database_needs){.loop = g->worker.loop,
                                           .plan = n->plan,
                                           .bundle = n->bundle,
                                           .show = &g->worker.show,
                                           .seed = worker_random(&g->worker),
                                           .wake = on_wake,
                                           .arg = g});
    publish_open(&g->publish,
                 &(struct publish_needs){.plan = n->plan,
                                         .decoder = n->decoder,
                                         .owner = g->worker.owner,
                                         .database = &g->worker.database,
                                         .show = &g->worker.show,
                                         .explain = explain_unkept,
                                         .arg = g});
    g->worker.idle = loop_idle_new(g->worker.loop, on_turn, g);
    g->tick = loop_timer_new(g->worker.loop, on_tick, g);
    g->due = loop_timer_new(g->worker.loop, on_wake, g);
    open_run(g);
    lanes_init(&g->worker.lanes, g->worker.now->plan->dead_letters.max_failed,
               HELD_BYTES);
    loop_timer_every(g->tick, TICK_USEC);
}

bool engine_stop(struct engine *g)
{
    g->worker.is_stopping = true;
    return g->run.batches.busy.n == 0 && g->run.batches.resolving.n == 0 &&
           halts_are_written(&g->halts) && publish_is_done(&g->publish);
}

void engine_close(struct engine *g)
{
    loop_idle_free(g->worker.idle);
    loop_timer_free(g->tick);
    loop_timer_free(g->due);
    database_close(&g->worker.database);
    halts_close(&g->halts);
    if (g->worker.source) {
        intake_tell(g);
        source_free(g->worker.source);
    }
    run_close(&g->run);
    claim_close(&g->claim);
    topics_close(&g->topics);
    letters_close(&g->letters);
    lanes_close(&g->worker.lanes);
    publish_close(&g->publish);
    if (g->worker.before) {
        generation_drop(g->worker.before);
    }
    generation_drop(g->worker.now);
}

/* See run.h. */
#include "flow/run/run.h"

#include "flow/run/kind.h"

void run_move(struct batch *b, enum batch_state to)
{
    struct run *run = b->run;

    if (!batches_move(&run->batches, b, to)) { /* nobody told its outcome */
        database_withdraw(&run->worker->database, &b->attempt.ticket);
    }
    worker_wake(run->worker);
}

/* What its statements were goes from the sessions too. */
void run_retire(struct run *run)
{
    struct worker *w = run->worker;

    if (w->before && w->before->n_holders == 1) {
        generation_drop(w->before);
        w->before = NULL;
        pgpool_sweep(w->database.pool);
    }
}

/* What the lane waited for was the answer to a retry, unless records of it lost
 * against others before. How often a letter missed is counted on: it shows in the
 * end whether that is a race (conflict.h). */
static void end_wait(struct lane *lane)
{
    if (lane->wait.n_tried == 0 && lane->wait.n_cancelled == 0) {
        lane_hide_wait(lane);
    }
}

void run_release(struct batch *b)
{
    struct worker *w = b->run->worker;

    database_release(&w->database, &b->attempt.conn);
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lane *lane = b->input.leases[i].lane;

        if (!b->kind->holds_lanes) {
            end_wait(lane);
        }
        source_give_back(w->source, lane->kafka);
        lane_end_lease(lane);
        if (lane->kafka->is_assigned) {
            show_lane(&w->show, lane);
        }
    }
    batch_clear(b);
    batch_unbind(b);
    run_retire(b->run);
    run_move(b, BATCH_FREE);
}

void run_lease(struct lane *lane)
{
    source_use(lane->kafka);
    lane_lease(lane);
}

static void open_batches(struct run *run,
                         void (*ask)(struct batch *b, uint32_t event))
{
    uint32_t n = run->worker->now->plan->limits.concurrency;

    for (uint32_t i = 0; i < n; i++) {
        struct batch *b = &run->batches.all[i];

        batch_init(b);
        b->run = run;
        b->ask = ask;
    }
    batches_open(&run->batches, n);
}

static void open_cache(struct run *run)
{
    const struct plan *p = run->worker->now->plan;

    if (plan_is_cached(p)) {
        cache_ring_open(&run->cache, p->cache.bytes,
                        p->cache.ttl_s * 1000000ULL);
    }
}

void run_open(struct run *run, void (*ask)(struct batch *b, uint32_t event))
{
    open_batches(run, ask);
    open_cache(run);
}

void run_close(struct run *run)
{
    for (uint32_t i = 0; i < run->batches.n; i++) {
        batch_close(&run->batches.all[i]);
    }
    cache_ring_close(&run->cache);
}

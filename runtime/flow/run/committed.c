/* See committed.h. */
#include "flow/run/committed.h"

#include "flow/batch/lease.h"
#include "flow/batch/measure.h"
#include "flow/letters/letters.h"
#include "flow/publish/publish.h"
#include "flow/run/conflict.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "flow/run/lease_halt.h"
#include "flow/run/row_cache.h"
#include "flow/show/show.h"

/* Before COMMIT come the write check, where the tables want one, and the check
 * of their shape. */
static void keep_rows(struct batch *b, const struct pgreply *reply)
{
    struct pg_result *const *last = reply->results + reply->n_results - 1;

    if (b->cached.keeps) {
        row_cache_committed(b, (uint32_t)pg_int(last[-1], 0, 0),
                            !b->generation->tables.shape.write_check ||
                                pg_int(last[-2], 0, 0) != 0);
    }
}

static void read_reply(struct batch *b, const struct pgreply *reply)
{
    show_stage(&b->run->worker->show, STAGE_COMMIT, b->attempt.since);
    conflict_took(b->run, worker_now(b->run->worker) - b->attempt.begun_at);
    b->outcome.n_written -= writer_written(b->rows, b->n_rows, reply);
    keep_rows(b, reply);
}

/* How many records the lane's next batch may have. */
static void keep_pace(struct batch *b, struct lease *l)
{
    if (b->scripts.pace == BATCH_TOO_SLOW) {
        lease_halve(l->lane, l->n, b->input.n_leases == 1);
    } else if (b->scripts.pace == BATCH_QUICK && !b->scripts.is_heavy) {
        lease_grow(l->lane, b->generation->plan->limits.size);
    }
}

static void move_lane(struct batch *b, struct lease *l)
{
    struct lane *lane = l->lane;
    uint32_t moved = lease_moved(l);

    if (moved > 0 && b->outcome.n_written > 0) {
        lane->wrote_at = worker_now(b->run->worker);
    }
    lane->position = l->end;
    if (moved > 0) {
        lane->logged.at = 0; /* it went on */
        lane->was_rewound &= !lane->ends_rewound;
    }
    source_done(b->run->worker->source, lane->kafka, moved);
    lease_cleared(lane, moved);
    isolate_cleared(l);
    conflict_cleared(lane);
    keep_pace(b, l);
}

void committed_records(struct batch *b)
{
    letters_committed(b->run->letters, b);
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        if (lane_is_ours(b->input.leases[i].lane)) {
            move_lane(b, &b->input.leases[i]);
        }
    }
    if (batch_moved(b) > 0) {
        measure_committed(&b->run->worker->show, b);
        b->run->committed_at = worker_now(b->run->worker);
    }
}

static void halt_lanes(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        if (lane_is_ours(b->input.leases[i].lane)) {
            lease_halt_committed(b, &b->input.leases[i]);
        }
    }
}

/*
 * The reply lasts as long as its connection, and rows are kept for the claims
 * that the transaction had, which a lane that halts gives up. Lanes halt behind
 * all that is counted of them: one that halts is shown as it stands then. A lane
 * that is no longer ours, or whose position may be stale, is claimed first.
 */
void batch_committed(struct batch *b, const struct pgreply *reply)
{
    struct run *run = b->run;

    if (reply) {
        read_reply(b, reply);
    }
    database_release(&b->run->worker->database, &b->attempt.conn);
    b->kind->committed(b);
    if (b->failures.letters) {
        publish_due(run->publish);
    }
    halt_lanes(b);
    database_answered(&run->worker->database, &b->attempt.ticket);
    run->troubles = 0;
    show_ready(&run->worker->show);
    run_release(b);
}

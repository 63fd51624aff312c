/* See fence.h. */
#include "flow/run/fence.h"

#include <inttypes.h>

#include "base/log.h"
#include "flow/generation/compared.h"
#include "flow/halt/halts.h"

enum {
    PAUSE_USEC = 500000,
    MOST = 3, /* then somebody else is not the cause */
    UNKEPT_USEC = 5000000
};

/* Each claim raises the epoch by one: with ours alone between this time and the
 * last one, nobody else had the lane, and its row is not written. True: so it
 * was again and again. */
static bool is_never_kept(struct lane *lane, const struct lease *l)
{
    bool is_ours = lane->fence.n > 0 && l->start == lane->fence.position &&
                   (l->epoch == lane->fence.epoch + 1 ||
                    (l->epoch == lane->fence.epoch && lane->fence.n >= MOST));
    bool has_claimed = l->epoch != lane->fence.epoch;

    lane->fence.n = is_ours ? lane->fence.n + 1 : 1;
    lane->fence.epoch = l->epoch;
    lane->fence.position = l->start;
    return lane->fence.n >= MOST && has_claimed;
}

static void halt_unkept(struct run *run, struct lane *lane)
{
    struct err e;

    err_set(
        &e, ERR_SCHEMA,
        "tidemill.lane does not keep the lane's new position, though nobody "
        "else claimed it: %.300s",
        compared_own_causes(run->worker->now));
    run->worker->show.counts->errors[e.class]++;
    halts_until(run->halts, lane, worker_now(run->worker) + UNKEPT_USEC, &e);
}

static void claim_again(struct run *run, const struct lease *l)
{
    struct lane *lane = l->lane;

    if (is_never_kept(lane, l)) {
        halt_unkept(run, lane);
        return;
    }
    if (lane->fence.n == MOST - 1) { /* what is told of then may be new */
        run->worker->now->tables.is_known = false;
    }
    if (lane->fence.n < MOST) { /* else that is not why */
        log_line(LOG_WARN,
                 "lane was claimed elsewhere or moved; claiming it again",
                 "lane=%s/%d position=%" PRId64 " epoch=%" PRId64,
                 l->lane->topic, l->lane->partition, l->start, l->epoch);
    }
    lane_become(lane, LANE_STALE);
}

/* TM001: the statement's index tells the lane. */
struct next fence_failed(struct batch *b, int failed)
{
    int at = b->attempt.n_begun;

    b->run->worker->show.counts->counters[COUNT_FENCED]++;
    /* Two owners that both believe in themselves must not fence each other in
     * a loop: Kafka tells one of them soon. */
    b->run->worker->lanes.claim_at = worker_now(b->run->worker) + PAUSE_USEC;
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (batch_moves(b, l) && at++ == failed) {
            claim_again(b->run, l);
        }
    }
    return next_is(NEXT_RELEASE);
}

/* See isolate.h. */
#include "flow/run/isolate.h"

#include <inttypes.h>

#include "base/log.h"
#include "flow/batch/failures.h"
#include "flow/batch/lease.h"
#include "flow/run/kind.h"

/* ---- smaller batches ---- */

/* Of [n] records so many were done when a late run was stopped; with several
 * projections those before count. */
static uint32_t share_done(const struct batch *b, uint32_t n)
{
    uint64_t turn =
        b->scripts.projection > 0 ? (uint64_t)b->scripts.projection : 0;
    uint64_t at = b->scripts.late_at > 0 ? (uint64_t)b->scripts.late_at : 0;
    uint64_t done = turn * b->input.events.n + at;
    uint64_t all = (uint64_t)(b->n_rows ? b->n_rows : 1) * b->input.events.n;
    uint64_t share = n * done / all;

    return share > 0 ? (uint32_t)share : 1;
}

void isolate_shrink_lanes(struct batch *b, bool is_late)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        uint32_t n = is_late ? share_done(b, l->n) : l->n;

        lease_halve(l->lane, n, b->input.n_leases == 1);
    }
}

/* Once for a lane, until its batches have their usual size again. */
static void tell_narrow(const struct lane *lane, uint32_t n,
                        const struct err *e)
{
    if (lane->most == 0) {
        log_line(LOG_INFO,
                 "a batch took too much; the lane's next ones have fewer "
                 "records",
                 "lane=%s/%d records=%u error=%s", lane->topic, lane->partition,
                 n, log_quote(e->text));
    }
}

struct next isolate_narrow(struct batch *b, const struct err *e)
{
    /* Where a lane halts early the others were loaded all the same. */
    if (b->input.events.n <= 1) {
        return next_is(NEXT_ON);
    }
    for (uint32_t i = 0; b->kind->holds_lanes && i < b->input.n_leases; i++) {
        tell_narrow(b->input.leases[i].lane, b->input.leases[i].n, e);
    }
    b->kind->shrink(b, false);
    return next_is(NEXT_RELEASE);
}

/* As tell_narrow(): a lane may come here with every few batches. */
static void tell_over(const struct batch *b)
{
    const struct record *first = &b->input.records[0];
    const struct vm *vm = b->generation->vm;
    enum log_level level =
        b->input.leases[0].lane->most == 0 ? LOG_INFO : LOG_DEBUG;

    if (b->input.view.is_late) {
        log_line(level,
                 "the scripts take too long for a batch: its records come in "
                 "smaller ones",
                 "first=%s/%d/%" PRId64 " records=%u time_for=%u", first->topic,
                 first->partition, first->offset, b->input.events.n,
                 share_done(b, b->input.events.n));
    } else {
        log_line(level,
                 "the scripts make too much of a batch: its records come in "
                 "smaller ones",
                 "first=%s/%d/%" PRId64 " records=%u limit_bytes=%" PRIu64,
                 first->topic, first->partition, first->offset,
                 b->input.events.n,
                 vm_ran_out(vm) ? vm_most_bytes() : batch_most(b));
    }
}

struct next isolate_over(struct batch *b)
{
    tell_over(b);
    b->run->worker->show.counts->counters[COUNT_BATCH_RETRIES]++;
    b->kind->shrink(b, b->input.view.is_late);
    return next_is(NEXT_RELEASE);
}

/* ---- the search ---- */

void isolate_search(struct lease *l, bool was_alone, usec now)
{
    if (!l->lane->search.since) {
        l->lane->search.since = now;
    }
    lease_search(l->lane, lease_moved(l), was_alone);
}

void isolate_search_lanes(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        if (lease_moved(&b->input.leases[i]) > 0) {
            isolate_search(&b->input.leases[i], b->input.n_leases == 1,
                           worker_now(b->run->worker));
        }
    }
}

struct next isolate_parts(struct batch *b)
{
    b->run->worker->show.counts->counters[COUNT_ISOLATIONS]++;
    b->kind->search(b);
    return next_is(NEXT_RELEASE);
}

struct next isolate_found(struct batch *b, uint32_t event, const struct err *e,
                          enum failure_action action)
{
    const struct record *rec = &b->input.records[event];
    struct lane *lane = b->input.leases[rec->lane].lane;

    b->run->worker->show.counts->counters[COUNT_ISOLATIONS]++;
    lane->search.has_found = true;
    lane->search.offset = rec->offset;
    lane->search.action = action;
    lane->search.why = *e;
    if (b->kind->holds_lanes) {
        lease_found(lane);
    }
    return next_is(NEXT_RELEASE);
}

/* ---- what is known ---- */

static void find_refused(struct batch *b, const struct lease *l)
{
    const struct lane *lane = l->lane;

    if (!lane->search.has_found) {
        return;
    }
    for (uint32_t e = l->first; e < l->first + l->n; e++) {
        if (b->input.records[e].offset == lane->search.offset &&
            b->input.events.states[e] == TM_EVENT_OK) {
            failures_add_refused(b, e, &lane->search.why, lane->search.action);
        }
    }
}

void isolate_refused(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        find_refused(b, &b->input.leases[i]);
    }
}

void isolate_cleared(const struct lease *l)
{
    struct lane *lane = l->lane;

    if (lane->search.left == 0) {
        lane->search.since = 0;
    }
    if (l->start <= lane->search.offset && l->end > lane->search.offset) {
        lane->search.has_found = false;
    }
}

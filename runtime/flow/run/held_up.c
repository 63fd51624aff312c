/* See held_up.h. */
#include "flow/run/held_up.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "flow/run/kind.h"

enum { SLOW_USEC = 10000000 }; /* large batches take some seconds */

void held_up_note(struct batch *b, bool is_lost, const char *what,
                  const char *why)
{
    if (is_lost && !b->kind->holds_lanes) {
        return;
    }
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lane *lane = b->input.leases[i].lane;

        if (is_lost || !lane->wait.since) {
            snprintf(lane->wait.reason, sizeof(lane->wait.reason),
                     "%.70s: %.120s", what, why);
        }
        lane_hold_up(lane, b->attempt.since);
    }
}

/* Its answer may be a lock timeout. Told once for its first lane, until that
 * goes on. */
static void note_slow(struct batch *b, usec now)
{
    struct lane *lane;

    if (now - b->attempt.since < SLOW_USEC) {
        return;
    }
    held_up_note(b, false, "the database does not answer",
                 "it is slow, another transaction holds a lock, or a COMMIT "
                 "waits for a standby; pg_stat_activity shows which");
    lane = b->input.leases[0].lane;
    if (!lane->wait.is_slow) {
        lane->wait.is_slow = true;
        log_line(LOG_WARN, "a batch waits for an answer of the database",
                 "lane=%s/%d lanes=%u events=%u", lane->topic, lane->partition,
                 b->input.n_leases, b->input.events.n);
    }
}

static void tell(struct lane *lane, usec now)
{
    lane->wait.is_logged = true;
    log_line(LOG_WARN, "lane waits for other transactions; the others go on",
             "lane=%s/%d position=%" PRId64 " seconds=%" PRIu64 " reason=%s",
             lane->topic, lane->partition, lane->position,
             (now - lane->wait.since) / 1000000, log_quote(lane->wait.reason));
}

/* Also one that may be stale, or that the group gave anew, while a batch has
 * it: it stands until that has its answer. */
static bool is_to_be_seen(const struct lane *l)
{
    return (lane_is_ours(l) && !lane_is_halted(l)) ||
           (l->state == LANE_LEASED &&
            (l->next == LANE_OFFERED || l->next == LANE_STALE));
}

/* The lane has waited for so long that people see it. */
static bool show(struct lane *lane, usec now)
{
    if (!is_to_be_seen(lane) || now - lane->wait.since < HELD_UP_TELL_USEC) {
        return false;
    }
    lane->wait.is_shown = true;
    if (lane->wait.retry_at && !lane->wait.is_logged) {
        tell(lane, now);
    }
    return true;
}

void held_up_tick(struct run *run, usec now)
{
    const struct list_link *link = list_first(&run->batches.busy);
    const struct list *held_up = &run->worker->lanes.held_up;
    const struct lane *first = NULL;

    if (run->worker->database.breaker.state != BREAKER_CLOSED) {
        return;
    }
    for (uint32_t n = run->batches.busy.n; n > 0; n--, link = link->next) {
        note_slow(list_item(link, struct batch, link), now);
    }
    link = list_first(held_up);
    for (uint32_t n = held_up->n; n > 0; n--, link = link->next) {
        struct lane *l = list_item(link, struct lane, wait.link);

        if (show(l, now) && (!first || lane_compare(l, first) < 0)) {
            first = l;
        }
    }
    show_reason_of(&run->worker->show, REASON_LANES, first,
                   first ? first->wait.reason : "");
}

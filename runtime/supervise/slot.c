/* A worker's place: see slot.h. */
#include "supervise/slot.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/backoff.h"
#include "base/log.h"
#include "model/deadlines.h"

enum { STABLE_SECONDS = 30, FENCED_SECONDS = 60 };

void slot_clear_page(const struct slot *w, struct page *p)
{
    struct page_worker *entry = &p->workers[w->number];
    page_unlock(p, (uint32_t)entry->pid); /* 0 has no lock */
    entry->pid = 0;
    entry->heartbeat_usec = 0;
    entry->is_ready = 0;
    entry->in_handler = entry->in_rule = 0;
    memset(&entry->at, 0, sizeof(entry->at));
    memset(entry->gauges, 0, sizeof(entry->gauges));
    entry->process = (struct page_process){.cpu_usec = entry->process.cpu_usec};
    memset(entry->waiting_for, 0, sizeof(entry->waiting_for));
    for (uint32_t i = 0, n_lanes = page_n_lanes(p); i < n_lanes; i++) {
        struct page_lane *lane = &p->lanes[i];
        if (lane->state != PAGE_LANE_FREE &&
            lane->worker == (int32_t)w->number) {
            lane->state = PAGE_LANE_UNOWNED;
            lane->worker = -1;
            lane->waits = WAIT_NONE;
        }
    }
}

void slot_started(struct slot *w, struct page *p, pid_t pid, usec now)
{
    w->state = SLOT_RUNNING;
    w->pid = pid;
    w->started = now;
    w->looks = w->moves = 0;
    w->beat = w->since = now;
    w->is_stuck = false;
    p->workers[w->number].pid = pid;
}

/* True for the second time: two processes that share a name fence each other
 * by turns until one of them has given up. */
static bool is_fenced_again(struct slot *w, usec now)
{
    usec last = w->fenced_at;
    w->fenced_at = now;
    return last && now - last < FENCED_SECONDS * 1000000ULL;
}

static bool is_final(struct slot *w, int wait_status, usec now)
{
    if (!WIFEXITED(wait_status)) {
        return false;
    }
    int code = WEXITSTATUS(wait_status);
    return code == WORKER_CONFIG ||
           (code == WORKER_FENCED && is_fenced_again(w, now));
}

bool slot_ended(struct slot *w, int wait_status, usec now, usec *after)
{
    w->pid = 0;
    if (is_final(w, wait_status, now)) {
        w->state = SLOT_GIVEN_UP;
        w->exit_code = WEXITSTATUS(wait_status);
        return false;
    }
    if (now - w->started >= STABLE_SECONDS * 1000000ULL) {
        w->n_ended = 0;
    }
    *after = backoff_delay(++w->n_ended, BACKOFF_RESTART_FLOOR_USEC,
                           BACKOFF_RESTART_CAP_USEC, UINT32_MAX);
    w->state = SLOT_WAITING;
    return true;
}

void slot_tell_given_up(const struct slot *w, const char *instance)
{
    if (w->exit_code == WORKER_FENCED) {
        log_line(LOG_ERROR, "worker is not started again",
                 "worker=%u instance=%s why=%s", w->number, log_quote(instance),
                 log_quote("its instance id is in use by another process: "
                           "stop that one, or give each its own with "
                           "--instance NAME"));
    } else {
        log_line(LOG_ERROR, "worker is not started again", "worker=%u why=%s",
                 w->number,
                 log_quote("it would end the same way: correct what its last "
                           "line names and run again"));
    }
}

void slots_signal(const struct slot *slots, uint32_t n, int signum)
{
    for (uint32_t i = 0; i < n; i++) {
        if (slots[i].pid > 0) {
            kill(slots[i].pid, signum);
        }
    }
}

bool slots_have(const struct slot *slots, uint32_t n, enum slot_state state)
{
    for (uint32_t i = 0; i < n; i++) {
        if (slots[i].state == state) {
            return true;
        }
    }
    return false;
}

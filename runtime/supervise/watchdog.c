/* See watchdog.h. */
#include "supervise/watchdog.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "model/poison_table.h"
#include "supervise/process.h"
#include "supervise/vitals.h"

/* What a worker gets to answer SIGUSR1 on a busy machine. */
enum { ANSWER_USEC = 500000 };
/* How often one may get a whole limit more without a sign of life by itself:
 * other lanes and Kafka wait as well. */
enum { MOVES_MOST = 3 };
/* The part of a batch that is tried after a death, which may have cost a whole
 * limit; with each batch that is committed it grows. */
enum { FEWER = 8 };
/* Clock ticks that one may use which only sleeps: it answered twice. One that
 * computes uses most of its limit. */
enum { SLEEP_TICKS = 10 };

/* What comes next, of a worker that shows no life. */
enum {
    LOOK_LATE,   /* at a quarter of the limit it is told that it is late */
    LOOK_ANSWER, /* and says where it is */
    LOOK_HALF,
    LOOK_PLACE, /* people are told where it is */
    LOOK_END,
    LOOK_DECIDE,
    LOOK_NO_MORE
};

/* Clock ticks that the main thread used; 0 when it cannot be read. The worker's
 * other threads (librdkafka's) work on while a script is stuck. */
static uint64_t cpu_ticks(pid_t pid)
{
    uint64_t ticks, start, pages;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
    return vitals_stat(path, &ticks, &start, &pages) ? ticks : 0;
}

/* Never true: it is no reason to end it. */
static bool ask(struct slot *w, struct page *p, usec now)
{
    page_place_clear(&p->workers[w->number].at);
    kill(w->pid, SIGUSR1);
    w->looks++;
    w->looked_at = now;
    return false;
}

static bool is_same(const struct page_place *a, const struct page_place *b)
{
    return a->is_set && b->is_set && a->partition == b->partition &&
           a->offset == b->offset && strcmp(a->topic, b->topic) == 0;
}

/* A sign of life by itself makes all looks void. */
static void note_beat(struct slot *w, usec beat)
{
    if (beat > w->beat) {
        w->beat = w->since = beat;
        w->looks = w->moves = 0;
    }
}

/* It told where it is, and that it is late: the record at which it is has a
 * whole limit from here on, since those before it took some of the time. */
static void on_answer(struct slot *w, const struct page_place *at, usec now)
{
    if (at->is_set) {
        w->since = w->looked_at;
    }
    if (at->is_set || now - w->looked_at > ANSWER_USEC) {
        w->looks = LOOK_HALF;
    }
}

static void tell(struct slot *w, struct page_worker *entry,
                 const struct page_place *at, usec now)
{
    if (at->is_set) {
        snprintf(entry->waiting_for, sizeof(entry->waiting_for),
                 "a handler takes long for %.200s/%d/%" PRId64, at->topic,
                 at->partition, at->offset);
        log_line(LOG_WARN, "a handler takes long for a record",
                 "worker=%u topic=%.249s partition=%d offset=%" PRId64
                 " seconds=%u",
                 w->number, at->topic, at->partition, at->offset,
                 (unsigned)((now - w->beat) / 1000000));
    }
    if (at->is_set || now - w->looked_at > ANSWER_USEC) {
        w->looks = LOOK_END;
    }
}

/* The end of the limit. True: it is not seen to get on. */
static bool decide(struct slot *w, const struct page_place *at, usec now)
{
    bool is_same_place = is_same(at, &w->place);

    if (at->is_set && w->place.is_set && !is_same_place &&
        w->moves < MOVES_MOST) {
        w->moves++;
        w->since = now;
        w->looks = LOOK_HALF;
        return false;
    }
    w->is_stuck =
        is_same_place && cpu_ticks(w->pid) > w->cpu_ticks + SLEEP_TICKS;
    w->looks = LOOK_NO_MORE; /* killed once, however long it takes to end */
    return true;
}

bool watchdog_look(struct slot *w, struct page *p, usec now)
{
    const struct page_worker *entry = &p->workers[w->number];
    usec limit = p->heartbeat_seconds * 1000000ULL, still;
    struct page_place at;

    page_place_get(&entry->at, &at);
    note_beat(w, entry->heartbeat_usec);
    still = now > w->since ? now - w->since : 0;
    /* Before its first sign of life a question would kill it. */
    bool asks = entry->heartbeat_usec > 0;

    if (w->state != SLOT_RUNNING || (!asks && still < limit)) {
        return false;
    }
    if (!asks) {
        return w->looks != LOOK_NO_MORE && decide(w, &at, now);
    }
    switch (w->looks) {
    case LOOK_LATE:
        return still >= limit / 4 && ask(w, p, now);
    case LOOK_ANSWER:
        on_answer(w, &at, now);
        return false;
    case LOOK_HALF:
        w->cpu_ticks = still >= limit / 2 ? cpu_ticks(w->pid) : 0;
        return still >= limit / 2 && ask(w, p, now);
    case LOOK_PLACE:
        tell(w, &p->workers[w->number], &at, now);
        return false;
    case LOOK_END:
        w->place = at;
        return still + ANSWER_USEC > limit && ask(w, p, now);
    case LOOK_DECIDE:
        return now - w->looked_at > ANSWER_USEC && decide(w, &at, now);
    default:
        return false;
    }
}

/* How the death came about, if it was a record's doing. */
static bool is_by_record(const struct slot *w, const struct page *p,
                         int wait_status, char *how, size_t cap)
{
    int signum = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;

    if (signum == SIGKILL && w->is_stuck) {
        snprintf(how, cap, "it did not come back within %u s",
                 p->heartbeat_seconds);
        return true;
    }
    process_describe_end(wait_status, how, cap);
    return signum == SIGSEGV || signum == SIGBUS || signum == SIGILL ||
           signum == SIGABRT;
}

/* Whoever comes next takes fewer records of the lanes over which scripts ran, and
 * each lane alone. */
static void narrow(const struct slot *w, struct page *p)
{
    uint32_t n_lanes = 0, n_records = 0;

    for (uint32_t i = 0, n = page_n_lanes(p); i < n; i++) {
        struct page_lane *l = &p->lanes[i];

        if (l->worker == (int32_t)w->number && l->n_running > 0) {
            n_lanes++;
            n_records += l->n_running;
            l->most = l->n_running < FEWER ? 1 : l->n_running / FEWER;
            l->n_running = 0;
        }
    }
    if (n_records > 1) {
        log_line(LOG_WARN,
                 "worker died while scripts ran over a batch; its lanes get "
                 "smaller ones",
                 "worker=%u lanes=%u records=%u", w->number, n_lanes,
                 n_records);
    }
}

/* It is asked without a record at hand, and no record could be set aside for
 * it. */
static void count_rule(const struct slot *w, struct page *p, int wait_status)
{
    if (p->workers[w->number].in_rule && WIFSIGNALED(wait_status)) {
        p->rule_deaths++;
        log_line(LOG_ERROR, "worker died while the failure rule was asked",
                 "worker=%u deaths=%u", w->number, p->rule_deaths);
    }
}

void watchdog_death(const struct slot *w, struct page *p, int wait_status)
{
    struct page_place at;
    char how[64];
    uint32_t deaths;

    narrow(w, p);
    count_rule(w, p, wait_status);
    if (!page_place_get(&p->workers[w->number].at, &at) ||
        !is_by_record(w, p, wait_status, how, sizeof(how))) {
        return;
    }
    deaths = poison_table_add(p, &at, how);
    log_line(
        LOG_ERROR, "worker died while a handler ran for a record",
        "worker=%u topic=%s partition=%d offset=%" PRId64 " deaths=%u how=%s",
        w->number, at.topic, at.partition, at.offset, deaths, log_quote(how));
}

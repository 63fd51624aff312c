/* The parent of the workers: see supervisor.h. */
#include "supervise/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/log.h"
#include "flow/engine/worker.h"
#include "model/deadlines.h"
#include "supervise/ending.h"
#include "supervise/hangup.h"
#include "supervise/live.h"
#include "supervise/notify.h"
#include "supervise/process.h"
#include "supervise/relay.h"
#include "supervise/slot.h"
#include "supervise/title.h"
#include "supervise/totals.h"
#include "supervise/vitals.h"
#include "supervise/watchdog.h"

enum {
    READY_SECONDS = 60,  /* of a run that is to last so many seconds */
    STANDS_SECONDS = 30, /* without an event before --until-end says why */
    STALL_SECONDS = 3 /* we ourselves stood still: nobody else is called late */
};

static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
enum { SIGNALS = sizeof(signals) / sizeof(*signals) };

struct supervisor {
    const struct supervise_options *o; /* borrowed */
    struct loop *loop;
    struct admin *admin; /* NULL: no admin port */
    struct live *live;
    struct relay *relay; /* NULL: workers write their stderr themselves */
    struct loop_signal *signals[SIGNALS];
    struct loop_timer *tick;
    struct loop_timer *deadline; /* of a stop, or of the run */
    struct slot slots[PAGE_WORKERS];
    struct hangup hangup;
    struct notify notify;
    struct said fork_logged; /* why a worker could not be forked */
    usec last_tick;
    usec check_after; /* no heartbeat is checked before */
    uint32_t n_ticks;
    uint64_t n_events; /* of a run that is to end: when it was last seen to */
    usec moved_at;     /* move; 0: not yet */
    bool is_stopping;
    usec ready_at; /* first time that all were; 0: not yet */
    int exit_code;
};

static void say(enum log_level level, const char *msg, const char *why)
{
    if (!why) {
        log_line(level, msg, NULL);
    } else {
        log_line(level, msg, "why=%s", log_quote(why));
    }
}

/* ---- starting ---- */

/* In the child. The signal watchers are taken down because libev lets a
 * signal belong to one loop only, and the worker makes a loop of its own. */
_Noreturn static void become_worker(struct supervisor *s, uint32_t number)
{
    for (int i = 0; i < SIGNALS; i++) {
        loop_signal_free(s->signals[i]);
    }
    signal(SIGHUP, SIG_IGN); /* libev's loop took it: see process.h */
    char who[32];
    snprintf(who, sizeof(who), "worker-%u", number);
    log_setup(who);
    title_worker(number, s->o->view->name);
    const struct worker_options options = {.bundle = s->o->bundle,
                                           .instance = s->o->view->instance,
                                           .slot = number,
                                           .page = s->o->page};
    int code = worker_run(&options);
    fflush(NULL);
    _exit(code);
}

static void restart_later(struct slot *w, usec after)
{
    w->state = SLOT_WAITING;
    loop_timer_set(w->restart, after);
}

static void start(struct slot *w)
{
    struct supervisor *s = w->supervisor;
    slot_clear_page(w, s->o->page);
    pid_t pid = process_fork(s->relay != NULL ? relay_fd(s->relay) : -1);
    if (pid == 0) {
        become_worker(s, w->number);
    }
    if (pid < 0) {
        char why[200];
        process_describe_failure(errno, why, sizeof(why));
        if (log_once(&s->fork_logged, why)) {
            say(LOG_ERROR, "cannot fork a worker; trying again in 5 s", why);
        }
        restart_later(w, 5000000);
        return;
    }
    s->fork_logged.at = 0;
    slot_started(w, s->o->page, pid, clock_usec());
}

static void on_restart(void *arg)
{
    struct slot *w = arg;
    w->supervisor->o->page->workers[w->number].restarts++;
    start(w);
}

/* ---- stopping ---- */

static void signal_workers(struct supervisor *s, int signum)
{
    slots_signal(s->slots, s->o->page->n_workers, signum);
}

static bool has_worker(const struct supervisor *s)
{
    return slots_have(s->slots, s->o->page->n_workers, SLOT_RUNNING);
}

static void stop(struct supervisor *s, int exit_code)
{
    if (s->is_stopping) {
        return;
    }
    s->is_stopping = true;
    s->exit_code = exit_code;
    notify_stopping(&s->notify);
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        loop_timer_stop(s->slots[i].restart);
    }
    signal_workers(s, SIGTERM);
    loop_timer_set(s->deadline, STOP_RUN_USEC);
    if (!has_worker(s)) {
        loop_stop(s->loop);
    }
}

/* Of the run, or else of the stop. */
static void on_deadline(void *arg)
{
    struct supervisor *s = arg;
    if (!s->is_stopping && s->ready_at > 0) {
        stop(s, EX_OK);
        return;
    }
    if (!s->is_stopping) {
        say(LOG_ERROR, "not ready in time", totals_waiting_for(s->o->page));
        stop(s, EX_UNAVAILABLE);
        return;
    }
    say(LOG_WARN, "workers did not finish in time and are killed",
        "what they had in flight is rolled back and read again");
    signal_workers(s, SIGKILL);
}

static void on_stop_signal(struct supervisor *s, int signum)
{
    if (s->is_stopping) {
        say(LOG_WARN, "stopping at once", "a second signal came");
        signal_workers(s, SIGKILL);
        return;
    }
    say(LOG_INFO, "stopping", strsignal(signum));
    stop(s, EX_OK);
}

static void on_hangup(struct supervisor *s)
{
    if (hangup_ends(&s->hangup)) {
        on_stop_signal(s, SIGHUP);
        return;
    }
    say(LOG_WARN, "SIGHUP: nothing was reloaded",
        "a run keeps the files of its start: restart it to take others");
    notify_reloaded(&s->notify, clock_usec());
}

/* ---- workers that end ---- */

/* Every slot is given up: nobody will ever work again. */
static void stop_if_all_gave_up(struct supervisor *s)
{
    uint32_t n = s->o->page->n_workers;
    if (slots_have(s->slots, n, SLOT_RUNNING) ||
        slots_have(s->slots, n, SLOT_WAITING)) {
        return;
    }
    say(LOG_ERROR, "no worker is left", "each of them gave up");
    stop(s, s->slots[0].exit_code);
}

static void ended(struct slot *w, int wait_status)
{
    struct supervisor *s = w->supervisor;
    char how[64];
    pid_t pid = w->pid;
    watchdog_death(w, s->o->page, wait_status);
    slot_clear_page(w, s->o->page);
    if (s->is_stopping) {
        w->state = SLOT_EMPTY;
        w->pid = 0;
        return;
    }
    usec after;
    if (!slot_ended(w, wait_status, clock_usec(), &after)) {
        slot_tell_given_up(w, s->o->view->instance);
        stop_if_all_gave_up(s);
        return;
    }
    process_describe_end(wait_status, how, sizeof(how));
    log_line(LOG_ERROR, "worker ended; starting another",
             "worker=%u pid=%d how=%s restart_in_ms=%u", w->number, pid,
             log_quote(how), (unsigned)(after / 1000));
    restart_later(w, after);
}

static void reap(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        struct slot *w = &s->slots[i];
        struct rusage used;
        int status;
        if (w->pid > 0 && wait4(w->pid, &status, WNOHANG, &used) == w->pid) {
            vitals_ended(w, s->o->page, &used);
            ended(w, status);
        }
    }
    if (s->is_stopping && !has_worker(s)) {
        loop_stop(s->loop);
    }
}

static void on_signal(void *arg, int signum)
{
    struct supervisor *s = arg;
    if (signum == SIGCHLD) {
        reap(s);
    } else if (signum == SIGHUP) {
        on_hangup(s);
    } else {
        on_stop_signal(s, signum);
    }
}

/* ---- the tick ---- */

static void kill_if_still(struct supervisor *s, struct slot *w, usec now)
{
    if (!watchdog_look(w, s->o->page, now)) {
        return;
    }
    const struct page_worker *entry = &s->o->page->workers[w->number];
    log_line(LOG_ERROR, "worker stands still and is killed",
             "worker=%u pid=%d limit_s=%d where=%s", w->number, w->pid,
             (int)s->o->page->heartbeat_seconds,
             log_quote(entry->in_handler ? "inside a Lua handler"
                       : entry->in_rule  ? "inside the failure rule"
                                         : "outside the scripts"));
    kill(w->pid, SIGKILL);
}

/* After a stop of our own (a suspended machine, a held terminal) the workers
 * get a whole limit to show a sign of life. */
static void check_heartbeats(struct supervisor *s, usec now)
{
    if (now - s->last_tick > STALL_SECONDS * 1000000ULL) {
        s->check_after = now + s->o->page->heartbeat_seconds * 1000000ULL;
    }
    if (s->is_stopping || now < s->check_after) {
        return;
    }
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        kill_if_still(s, &s->slots[i], now);
    }
}

/* A job that does not come to its end says what it waits for. */
static void tell_ending(struct supervisor *s, usec now)
{
    struct totals t;
    char why[600];

    totals_read(s->o->page, &t);
    if (s->moved_at == 0 || t.counters[COUNT_EVENTS] != s->n_events) {
        s->n_events = t.counters[COUNT_EVENTS];
        s->moved_at = now;
    } else if (now > s->moved_at + STANDS_SECONDS * 1000000ULL) {
        s->moved_at = now;
        ending_describe(s->o->page, why, sizeof(why));
        say(LOG_WARN, "the end is not reached, and nothing moves", why);
    }
}

static void look_at_ending(struct supervisor *s)
{
    if (!s->o->until_end || s->is_stopping) {
        return;
    }
    enum ending ending = ending_of(s->o->page);
    if (ending == ENDING_REACHED) {
        say(LOG_INFO, "every lane has reached its end", NULL);
        stop(s, EX_OK);
    } else if (ending == ENDING_HALTED) {
        ending_print_halted(s->o->page);
        stop(s, EX_DATAERR);
    } else if (s->n_ticks % (1000000 / TICK_USEC) == 0) {
        tell_ending(s, s->last_tick);
    }
}

static void became_ready(struct supervisor *s)
{
    s->ready_at = clock_usec();
    log_line(LOG_INFO, "ready", "workers=%u lanes=%u", s->o->page->n_workers,
             page_n_lanes(s->o->page));
    if (s->o->ready_usec) {
        *s->o->ready_usec = s->ready_at;
    }
    if (s->o->seconds > 0) {
        loop_timer_set(s->deadline, s->o->seconds * 1000000ULL);
    }
}

static void look_at_ready(struct supervisor *s)
{
    const struct page *p = s->o->page;
    for (uint32_t i = 0; i < p->n_workers && s->ready_at == 0; i++) {
        if (p->workers[i].is_ready == 0) {
            return;
        }
    }
    if (s->ready_at == 0 && !s->is_stopping) {
        became_ready(s);
    }
}

static void ask_if_fine(struct supervisor *s)
{
    struct err e = {0};
    if (s->o->is_fine && !s->is_stopping && !s->o->is_fine(s->o->arg, &e)) {
        say(LOG_ERROR, "stopping", e.text);
        stop(s, EX_SOFTWARE);
    }
}

static void on_tick(void *arg)
{
    struct supervisor *s = arg;
    usec now = clock_usec();
    check_heartbeats(s, now);
    s->last_tick = now;
    notify_tick(&s->notify, now);
    look_at_ready(s);
    look_at_ending(s);
    if (++s->n_ticks % (1000000 / TICK_USEC) == 0) {
        vitals_read(s->slots, s->o->page);
        ask_if_fine(s);
        live_tick(s->live, now);
    }
}

/* ---- the run ---- */

static void open_slots(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        struct slot *w = &s->slots[i];
        w->supervisor = s;
        w->number = i;
        w->restart = loop_timer_new(s->loop, on_restart, w);
    }
}

/* A caller may have held signals back until somebody can take them. */
static void take_signals(struct supervisor *s)
{
    sigset_t taken;
    sigemptyset(&taken);
    for (int i = 0; i < SIGNALS; i++) {
        s->signals[i] = loop_signal_new(s->loop, signals[i], on_signal, s);
        sigaddset(&taken, signals[i]);
    }
    sigprocmask(SIG_UNBLOCK, &taken, NULL);
}

static bool supervisor_open(struct supervisor *s,
                            const struct supervise_options *o, struct err *e)
{
    s->o = o;
    s->loop = loop_new();
    s->live = live_new(o->page);
    s->last_tick = clock_usec();
    o->page->started_usec = s->last_tick;
    o->page->until_end = o->until_end;
    vitals_of_self(&o->page->process);
    hangup_init(&s->hangup);
    notify_open(&s->notify, o->view);
    take_signals(s);
    s->tick = loop_timer_new(s->loop, on_tick, s);
    s->deadline = loop_timer_new(s->loop, on_deadline, s);
    open_slots(s);
    if (live_is_terminal(s->live) || log_is_json()) {
        s->relay = relay_new(s->loop, s->live);
    }
    if (o->listen_fd >= 0) {
        s->admin = admin_new(s->loop, o->listen_fd, o->view, o->token, e);
        return s->admin != NULL;
    }
    return true;
}

static void supervisor_close(struct supervisor *s)
{
    if (s->admin) {
        admin_free(s->admin);
    }
    if (s->relay) {
        relay_free(s->relay);
    }
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        loop_timer_free(s->slots[i].restart);
    }
    for (int i = 0; i < SIGNALS; i++) {
        loop_signal_free(s->signals[i]);
    }
    notify_close(&s->notify);
    loop_timer_free(s->tick);
    loop_timer_free(s->deadline);
    live_free(s->live);
    loop_free(s->loop);
}

static void supervisor_run(struct supervisor *s)
{
    for (uint32_t i = 0; i < s->o->page->n_workers; i++) {
        start(&s->slots[i]);
    }
    loop_timer_every(s->tick, TICK_USEC);
    if (s->o->seconds > 0) {
        loop_timer_set(s->deadline, READY_SECONDS * 1000000ULL);
    }
    loop_run(s->loop);
    if (s->relay) {
        relay_free(s->relay); /* the workers' last words come first */
        s->relay = NULL;
    }
    usec from = s->ready_at > 0 ? s->ready_at : s->o->page->started_usec;
    if (s->o->until_end && ending_tell_letters(s->o->page) && s->o->is_strict &&
        s->exit_code == EX_OK) {
        s->exit_code = EX_DATAERR;
    }
    live_summary(s->live, from, clock_usec());
}

int supervise_run(const struct supervise_options *o)
{
    struct supervisor s = {0};
    struct err e;
    /* Standard error may be a pipe whose reader has gone. */
    if (supervisor_open(&s, o, &e)) {
        supervisor_run(&s);
    } else {
        log_line(LOG_ERROR, "cannot start", "why=%s", log_quote(e.text));
        s.exit_code = EX_SOFTWARE;
    }
    supervisor_close(&s);
    return s.exit_code;
}

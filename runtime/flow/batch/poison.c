/* See poison.h. */
#include "flow/batch/poison.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "flow/batch/failures.h"
#include "model/poison_table.h"

/* A crash for want of stack needs another one. */
enum { STACK_BYTES = 64 << 10 };

static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGABRT};
enum { CRASHES = sizeof(crashes) / sizeof(crashes[0]) };

/* Signal handlers take no argument of ours: what they need is here, once in a
 * process. */
static struct {
    struct page *page; /* NULL: nobody watches (specs, trials) */
    struct page_worker *worker;
    struct batch *volatile running; /* NULL: no script runs */
    struct sigaction before[CRASHES];
} watch;

/* Of the running batch. Called in signal handlers: only reads what is there,
 * and calls nothing that could allocate or lock. */
static void note_place(void)
{
    const struct batch *b = watch.running;
    const struct record *r;
    int32_t event;

    page_place_clear(&watch.worker->at);
    event = b ? __atomic_load_n(&b->input.view.current, __ATOMIC_RELAXED) : -1;
    if (event < 0 || (uint32_t)event >= b->input.events.n) {
        return;
    }
    r = &b->input.records[event];
    page_place_set(&watch.worker->at, r->topic, r->partition, r->offset);
}

/* A question may come when the step that it was about has just ended. */
static bool is_slow(void)
{
    usec share = watch.page->heartbeat_seconds * 1000000ULL / 8;

    return clock_usec() > watch.worker->heartbeat_usec + share;
}

/* One record alone takes as long as it takes. */
static void set_late(void)
{
    struct batch *b = watch.running;

    if (b && b->input.events.n > 1 && !b->input.view.is_late && is_slow()) {
        b->scripts.late_at = b->input.view.current;
        b->input.view.is_late = 1;
    }
}

static void on_question(int signum, siginfo_t *info, void *context)
{
    (void)signum;
    (void)context;
    if (info->si_pid == getppid()) {
        note_place();
        set_late();
    }
}

/* A signal that somebody sent says nothing of the record, and another thread's
 * crash neither. Then the signal takes its course. */
static void on_crash(int signum, siginfo_t *info, void *context)
{
    bool is_sent = info->si_code <= 0;

    (void)context;
    if ((is_sent && info->si_pid != getpid()) || gettid() != getpid()) {
        page_place_clear(&watch.worker->at);
    } else {
        note_place();
    }
    for (int i = 0; i < CRASHES; i++) {
        if (crashes[i] == signum) {
            sigaction(signum, &watch.before[i], NULL);
        }
    }
    if (is_sent) {
        raise(signum); /* held back until we return; a fault just repeats */
    }
}

static void give_stack(void)
{
    static char stack[STACK_BYTES];
    stack_t is = {0};
    const stack_t ours = {.ss_sp = stack, .ss_size = sizeof(stack)};

    /* Sanitizers bring their own. */
    if (sigaltstack(NULL, &is) == 0 && (is.ss_flags & SS_DISABLE)) {
        sigaltstack(&ours, NULL);
    }
}

void poison_watch(struct page *p, uint32_t slot)
{
    struct sigaction crash = {.sa_sigaction = on_crash,
                              .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction question = {.sa_sigaction = on_question,
                                 .sa_flags = SA_SIGINFO | SA_RESTART};

    watch.page = p;
    watch.worker = &p->workers[slot];
    give_stack();
    for (int i = 0; i < CRASHES; i++) {
        sigaction(crashes[i], &crash, &watch.before[i]);
    }
    sigaction(SIGUSR1, &question, NULL);
}

static void mark_running(const struct batch *b, bool is_taken)
{
    for (uint32_t i = 0; watch.worker && i < b->input.n_leases; i++) {
        struct page_lane *page = b->input.leases[i].lane->page;

        if (page) {
            page->n_running = is_taken ? b->input.leases[i].n : 0;
        }
    }
}

void poison_scripts_begin(struct batch *b)
{
    mark_running(b, true);
    watch.running = b;
    if (watch.worker) {
        watch.worker->in_handler = 1;
    }
}

void poison_scripts_end(void)
{
    struct batch *b = watch.running;

    watch.running = NULL;
    if (watch.worker) {
        watch.worker->in_handler = 0;
    }
    mark_running(b, false);
}

static void fail_record(struct batch *b, const struct lease *l,
                        const struct page_poison *s)
{
    char reason[200];

    for (uint32_t e = l->first; e < l->first + l->n; e++) {
        if (b->input.records[e].offset == s->place.offset &&
            b->input.events.states[e] == TM_EVENT_OK) {
            snprintf(reason, sizeof(reason),
                     "the worker died twice while a handler ran for this "
                     "record: %s",
                     s->how);
            failures_add(b, e, ERR_SCRIPT, reason, strlen(reason),
                         LETTER_BEFORE);
        }
    }
}

void poison_apply(struct batch *b)
{
    struct page_poison s;

    for (uint32_t i = 0; watch.page && i < poison_table_count(watch.page);
         i++) {
        if (!poison_table_get(watch.page, i, &s)) {
            continue;
        }
        for (uint32_t k = 0; k < b->input.n_leases; k++) {
            const struct lease *l = &b->input.leases[k];
            const struct record *first = &b->input.records[l->first];

            if (l->n && first->partition == s.place.partition &&
                strcmp(first->topic, s.place.topic) == 0) {
                fail_record(b, l, &s);
            }
        }
    }
}

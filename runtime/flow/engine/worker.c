/* See worker.h. */
#include "flow/engine/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/batch/poison.h"
#include "flow/database/address.h"
#include "flow/engine/engine.h"
#include "flow/generation/compared.h"
#include "flow/show/show.h"
#include "model/deadlines.h"
#include "postgres/store/catalog_ask.h"

enum {
    LOAD_PAUSE_USEC = 500000,
    CHECK_POLL_USEC = 20000,
    CHECK_FLOOR_USEC = 500000
};

struct process {
    struct engine engine;
    struct loop *loop;
    struct loop_signal *term;
    struct loop_signal *interrupt;
    struct loop_timer *check;    /* looks at the database, until it fits */
    struct loop_timer *stopping; /* looks whether all is quiet */
    struct pgconn *conn;         /* taken while the check runs */
    usec stop_by;
    uint32_t check_failures;
    struct said load_logged; /* why the pipeline could not be loaded */
    struct said logged;      /* why the database is not ready */
};

static void tell(struct process *w, const char *why)
{
    show_waits(&w->engine.worker.show, "database: ", why);
    if (log_once(&w->logged, why)) {
        log_line(LOG_ERROR,
                 "the database is not ready for this pipeline; "
                 "looking again from time to time",
                 "error=%s", log_quote(why));
    }
}

static void check_later(struct process *w, const char *why)
{
    usec delay =
        backoff_delay(++w->check_failures, CHECK_FLOOR_USEC, BACKOFF_CAP_USEC,
                      worker_random(&w->engine.worker));

    tell(w, why);
    loop_timer_set(w->check, delay);
}

/* What `check` warns of; by one worker, since all see the same. */
static void tell_warnings(const struct process *w, char *lines)
{
    char *line = w->engine.worker.show.slot == 0 ? lines : "", *next;

    for (; *line; line = next) {
        next = line + strcspn(line, "\n");
        *next++ = '\0';
        log_line(LOG_WARN, "what check warns of", "warning=%s",
                 log_quote(line + strlen("warning: ")));
    }
}

static void on_checked(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct process *w = arg;
    struct buf problems = {0};

    (void)c;
    if (!r->ok) {
        w->engine.worker.show.counts->errors[r->error.class]++;
        check_later(w, r->error.text);
    } else if (compared_tables(w->engine.worker.now, w->engine.worker.show.page,
                               &w->engine.run.cache, r, &problems) > 0) {
        w->engine.worker.show.counts->errors[ERR_SCHEMA]++;
        check_later(w, buf_text(&problems));
        /* A run that is to end must not wait for people. */
        if (w->engine.worker.show.page->until_end) {
            w->engine.worker.fatal = WORKER_CONFIG;
            loop_stop(w->loop);
        }
    } else {
        tell_warnings(w, buf_text(&problems));
        engine_join(&w->engine);
    }
    database_release(&w->engine.worker.database, &w->conn);
    buf_close(&problems);
}

/* The pool backs off by itself, so all that is left is to tell people. */
static void note_pool(struct process *w)
{
    struct database *d = &w->engine.worker.database;
    const struct err *e = database_not_opened(d);

    if (e) {
        tell(w, e->text);
        address_renew(&d->address, d->pool, e, worker_now(&w->engine.worker));
    }
}

static void on_check(void *arg)
{
    struct process *w = arg;

    if (w->conn || w->engine.worker.source) {
        return;
    }
    w->conn = pgpool_take(w->engine.worker.database.pool);
    if (w->conn) {
        catalog_ask(w->conn, w->engine.worker.now->plan);
        pgconn_flush(w->conn, PG_ANSWER_USEC, on_checked, w);
        return;
    }
    note_pool(w);
    loop_timer_set(w->check, CHECK_POLL_USEC);
}

static void on_stopping(void *arg)
{
    struct process *w = arg;

    if (engine_stop(&w->engine) || worker_now(&w->engine.worker) > w->stop_by) {
        loop_stop(w->loop);
    }
}

static void on_signal(void *arg, int signum)
{
    struct process *w = arg;

    (void)signum;
    if (w->stop_by) {
        return;
    }
    w->stop_by = worker_now(&w->engine.worker) + STOP_WORKER_USEC;
    engine_stop(&w->engine);
    loop_timer_every(w->stopping, 10000);
}

/* A step of the start is done, or goes on: see supervise/watchdog.h. */
static void show_life(const struct worker_options *o, const char *step)
{
    struct page_worker *entry = &o->page->workers[o->slot];

    entry->heartbeat_usec = clock_usec();
    snprintf(entry->waiting_for, sizeof(entry->waiting_for), "starting: %.240s",
             step);
}

static struct generation *load(const struct worker_options *o, struct err *e)
{
    const struct plan *p;
    struct vm *v;

    show_life(o, "the scripts of Tidemill are read");
    v = vm_new(o->bundle, e);
    if (!v) {
        return NULL;
    }
    show_life(o, "the pipeline is loaded");
    vm_shows_life(v, &o->page->workers[o->slot].heartbeat_usec);
    p = vm_load(v, e);
    if (!p) {
        vm_free(v);
        return NULL;
    }
    show_life(o, "its tables are prepared");
    return generation_new(o->bundle, v, p, source_header);
}

/*
 * The bundle was loaded when the run began, so that what is said against it now
 * is of what env() and file() give, such as a secret that is just being written:
 * a worker that takes the place of another waits until it is mended. A run that
 * is to end must not wait for people.
 */
static bool may_be_mended(const struct worker_options *o)
{
    return o->page->workers[o->slot].restarts > 0 && !o->page->until_end;
}

/* No signal is taken yet: a stop ends the process here. */
static void load_later(struct process *w, const struct worker_options *o,
                       const struct err *e)
{
    show_life(o, e->text);
    if (log_once(&w->load_logged, e->text)) {
        log_line(LOG_ERROR,
                 "the pipeline cannot be loaded any more; looking again from "
                 "time to time",
                 "error=%s", log_quote(e->text));
    }
    usleep(LOAD_PAUSE_USEC);
}

static void set_engine(struct process *w, const struct worker_options *o,
                       char *instance, size_t size)
{
    struct engine *g = &w->engine;

    snprintf(instance, size, "%s-%s-%u", g->worker.now->plan->source.group,
             o->instance ? o->instance : "local", o->slot);
    g->worker.loop = w->loop;
    random_seed(&g->worker.random,
                (uint64_t)wall_usec() ^ (uint64_t)o->slot << 56);
    show_init(&g->worker.show, o->page, o->slot);
    g->worker.show.loop = w->loop;
    g->worker.owner = instance;
    g->worker.instance = o->instance ? instance : NULL;
}

static int run(struct process *w, const struct worker_options *o)
{
    char instance[256];
    struct err e;

    while (!(w->engine.worker.now = load(o, &e))) {
        if (!may_be_mended(o)) {
            log_line(LOG_ERROR, "the pipeline cannot be loaded", "error=%s",
                     log_quote(e.text));
            return WORKER_CONFIG;
        }
        load_later(w, o, &e);
    }
    if (!generation_prepare(w->engine.worker.now, &e)) {
        log_line(LOG_ERROR, "the pipeline cannot run", "error=%s",
                 log_quote(e.text));
        generation_drop(w->engine.worker.now);
        return WORKER_CONFIG;
    }
    set_engine(w, o, instance, sizeof(instance));
    engine_open(&w->engine);
    w->term = loop_signal_new(w->loop, SIGTERM, on_signal, w);
    w->interrupt = loop_signal_new(w->loop, SIGINT, on_signal, w);
    w->check = loop_timer_new(w->loop, on_check, w);
    w->stopping = loop_timer_new(w->loop, on_stopping, w);
    loop_timer_set(w->check, 1);
    show_waits(&w->engine.worker.show,
               "starting: ", "the tables of the database are looked at");
    loop_run(w->loop);
    loop_timer_free(w->check);
    loop_timer_free(w->stopping);
    loop_signal_free(w->term);
    loop_signal_free(w->interrupt);
    engine_close(&w->engine);
    return w->engine.worker.fatal;
}

int worker_run(const struct worker_options *o)
{
    struct process *w = mem_zero(1, sizeof(*w));
    int status;

    /* First: the supervisor may ask at any time. */
    poison_watch(o->page, o->slot);
    w->loop = loop_new();
    status = run(w, o);
    loop_free(w->loop);
    free(w);
    return status;
}

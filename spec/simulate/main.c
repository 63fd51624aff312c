/*
 * Workers over fakes of Kafka and PostgreSQL, in virtual time, by chance: see
 * spec/README.md. One run has a time of faults, and a calm one in which all must
 * come to its end.
 *
 *   simulate PIPELINE: SEED (the first one), STEPS (in all runs), TRACE=1
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "aside.h"
#include "broker.h"
#include "faults.h"
#include "look.h"
#include "lua/bundle.h"
#include "lua/scripts.h"
#include "model.h"

enum { WORKERS_MOST = 2, RUN_STEPS = 6000, BACKLOG = 300 };
/* A session of Kafka, a connection that is dead in all but name, the longest
 * pause of the circuit breaker: what must pass by itself does so by then. */
static const usec CALM_USEC = 240000000;

static struct {
    struct bundle bundle;
    struct page *pages[WORKERS_MOST];
    struct proc *procs[WORKERS_MOST];
    usec start_at[WORKERS_MOST];
    uint32_t n_workers;
    bool has_one_page; /* workers of one machine, or each of its own */
    struct event act;
    uint32_t n_started;
} run;

/* ---- workers ---- */

static void start(uint32_t i)
{
    static const char *const names[] = {"w0", "w1"};
    const struct worker_options o = {.bundle = &run.bundle,
                                     .slot = run.has_one_page ? i : 0,
                                     .page = run.pages[i]};

    run.procs[i] = proc_new(names[i], &o);
    run.n_started++;
}

static void clear(uint32_t i)
{
    proc_free(run.procs[i]);
    run.procs[i] = NULL;
    run.start_at[i] = world.now + chance_usec(1000, 2000000);
}

/* What ended is begun again, as the supervisor does. */
static void tend(void)
{
    for (uint32_t i = 0; i < run.n_workers; i++) {
        if (run.procs[i] && !run.procs[i]->is_alive) {
            expect(run.procs[i]->is_killed || run.procs[i]->status == 0,
                   "%s ends with status %d", run.procs[i]->name,
                   run.procs[i]->status);
            clear(i);
        }
        if (!run.procs[i] && world.now >= run.start_at[i]) {
            start(i);
        }
    }
}

/* ---- what the world does ---- */

static void freeze(struct proc *p)
{
    usec length = chance(300) ? chance_usec(1000000, 25000000)
                              : chance_usec(1000, 1000000);

    trace("%s is frozen for %.3f s", p->name, (double)length / 1e6);
    p->frozen_until = world.now + length;
}

/* As much as is applied, in the long run. */
static void append(void)
{
    if (model_left() > BACKLOG) {
        return;
    }
    for (uint32_t n = 1 + chance_below(30); n > 0; n--) {
        model_append();
    }
}

static void act(uint32_t what)
{
    struct proc *p = run.procs[chance_below(run.n_workers)];
    uint32_t at = 0;

    if (what < (at += faults.lose)) {
        server_lose_one();
        if (chance(400)) { /* whoever does not yet know is in its way */
            people_see_to_all();
        } else if (chance(400)) {
            people_discard_chains();
        }
    } else if (what < (at += faults.shake)) {
        group_shake();
    } else if (what < (at += faults.freeze)) {
        if (p && p->is_alive) {
            freeze(p);
        }
    } else if (what < (at += faults.kill)) {
        if (p && p->is_alive) {
            proc_kill(p);
        }
    } else if (what < (at += faults.down)) {
        usec length = chance_usec(1000, 20000000);

        trace("the database is away for %.3f s", (double)length / 1e6);
        server_down(world.now + length);
    } else if (what < (at += faults.alter)) {
        faults_alter();
    } else if (what < (at += faults.revoke)) {
        faults_revoke();
    } else if (what < (at += faults.expire)) {
        faults_expire();
    } else if (what < (at += faults.skip)) {
        people_skip();
    } else if (what < (at += faults.edit)) {
        people_edit();
    } else if (what < (at += faults.people)) {
        people_resume();
    } else if (what < (at += faults.people)) {
        people_see_to_one();
    } else {
        append();
    }
}

static void on_act(void *arg)
{
    (void)arg;
    if (!world.is_calm) {
        event_set(&run.act, chance(20) ? chance_usec(100000, 3000000)
                                       : chance_usec(500, 40000));
        act(chance_below(1000));
    } else {
        event_set(&run.act, 1000000);
        people_mend();
        people_see_to_all();
        people_resume();
    }
}

/* ---- one run ---- */

static void set(const char *name, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", value);
    setenv(name, text, 1);
}

static void choose_settings(void)
{
    static const uint32_t sizes[] = {1, 3, 10, 50, 500};

    set("SIM_SIZE", sizes[chance_below(5)]);
    set("SIM_LINGER", chance(500) ? 0 : 1 + chance_below(50));
    set("SIM_CONCURRENCY", 1 + chance_below(4));
    set("SIM_POOL", 2 + chance_below(4));
    set("SIM_MAX_SHARE", chance(300) ? 2 : 100);
    set("SIM_RULE", chance(300));
    set("SIM_MAX_HELD", chance(200) ? 20 : 10000);
}

static void open_run(uint64_t seed)
{
    world_open(seed);
    db_open();
    model_open();
    look_open();
    choose_settings();
    broker_open(1 + chance_below(6));
    faults_open();
    run.n_workers = 1 + chance_below(WORKERS_MOST);
    run.has_one_page = chance(500);
    for (uint32_t i = 0; i < run.n_workers; i++) {
        run.pages[i] =
            run.has_one_page && i > 0 ? run.pages[0] : page_new(WORKERS_MOST);
        run.procs[i] = NULL;
        run.start_at[i] = 0;
    }
    run.act = (struct event){.fn = on_act};
    event_set(&run.act, 1000);
    tend();
}

static bool step(void)
{
    if (!world_step()) {
        return false;
    }
    tend();
    look(run.procs, run.n_workers);
    return true;
}

static bool is_at_rest(void)
{
    for (uint32_t i = 0; i < run.n_workers; i++) {
        const struct proc *p = run.procs[i];

        if (!p || !p->engine || !p->engine->worker.source ||
            p->engine->run.batches.free.n < p->engine->run.batches.n ||
            p->engine->worker.database.breaker.state != BREAKER_CLOSED) {
            return false;
        }
    }
    return model_is_done();
}

static void tell_what_stands(void)
{
    model_tell();
    for (uint32_t i = 0; i < n_partitions; i++) {
        const struct lane_value *v = &db_row(LANES, i, 0, "")->now.lane;

        trace("lane %u: position %lld of %lld, epoch %lld, owner %s, %s", i,
              (long long)v->next_offset, (long long)partitions[i].high,
              (long long)v->epoch, v->owner,
              v->is_halted ? v->halted : "not halted");
    }
    for (uint32_t i = 0; i < run.n_workers; i++) {
        const struct proc *p = run.procs[i];

        if (p && p->engine) {
            trace("%s: of %u batches %u are free, the breaker is %d", p->name,
                  p->engine->run.batches.n, p->engine->run.batches.free.n,
                  (int)p->engine->worker.database.breaker.state);
        }
        for (uint32_t k = 0; p && p->engine && k < REASONS; k++) {
            if (p->engine->worker.show.reasons[k][0]) {
                trace("%s waits: %s", p->name,
                      p->engine->worker.show.reasons[k]);
            }
        }
    }
}

/* All must be applied, or set aside. */
static void calm_down(void)
{
    usec until = world.now + CALM_USEC;

    trace("all is calm");
    world.is_calm = true;
    faults_end();
    for (uint32_t i = 0; i < run.n_workers; i++) {
        if (run.procs[i]) {
            run.procs[i]->frozen_until = 0;
        }
    }
    while (!is_at_rest() && world.now < until && step()) {
    }
    if (!is_at_rest()) {
        tell_what_stands();
        broken("it does not come to its end");
    }
}

static void stop_all(void)
{
    for (uint32_t i = 0; i < run.n_workers; i++) {
        proc_stop(run.procs[i]);
    }
    for (uint32_t n = 0; n < run.n_workers;) {
        n = 0;
        expect(world_step(), "a worker that is told to stop stands");
        for (uint32_t i = 0; i < run.n_workers; i++) {
            n += !run.procs[i]->is_alive;
        }
    }
}

static void close_run(void)
{
    for (uint32_t i = 0; i < run.n_workers; i++) {
        proc_free(run.procs[i]);
        run.procs[i] = NULL;
        if (i == 0 || !run.has_one_page) {
            page_free(run.pages[i]);
        }
    }
    expect(consumer_messages() == 0, "%u messages were not freed",
           consumer_messages());
    server_down(0);
    broker_close();
    aside_close();
    db_close();
}

static void one_run(uint64_t seed)
{
    open_run(seed);
    while (world.steps < RUN_STEPS && step()) {
    }
    calm_down();
    stop_all();
    close_run();
}

static void on_crash(int signum)
{
    broken("signal %d", signum);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    uint64_t seed = number("SEED", 1), least = number("STEPS", 1000000);
    uint64_t steps = 0, n = 0;
    struct err e;

    if (argc != 2 || !bundle_read(&run.bundle, argv[1], scripts_dir(), &e)) {
        fprintf(stderr, "simulate: %s\n",
                argc != 2 ? "usage: simulate PIPELINE" : e.text);
        return 64;
    }
    signal(SIGABRT, on_crash);
    for (; steps < least; n++) {
        one_run(seed + n);
        steps += world.steps;
    }
    printf("%llu steps in %llu runs from seed %llu: %llu records applied, %llu "
           "set aside, %llu of them applied later and %llu discarded, in %llu "
           "commits of %u "
           "workers; %llu claims\n",
           (unsigned long long)steps, (unsigned long long)n,
           (unsigned long long)seed, (unsigned long long)model_counts.applied,
           (unsigned long long)model_counts.aside,
           (unsigned long long)model_counts.retried,
           (unsigned long long)model_counts.given_up,
           (unsigned long long)model_counts.commits, run.n_started,
           (unsigned long long)model_counts.claims);
    bundle_close(&run.bundle);
    return 0;
}

/* See loop.h. libev lets a stopped watcher be freed in its own callback, and
 * *_free stops before it frees: nothing pending is left behind. */
#include "base/loop.h"

#include <ev.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/err.h"

struct loop {
    struct ev_loop *ev;
    ev_check turn; /* runs first in a turn: reads the clock */
    usec now;
    bool is_stopped;
};

struct loop_io {
    ev_io ev;
    struct loop *loop;
    loop_io_fn fn;
    void *arg;
};

struct loop_timer {
    ev_timer ev;
    struct loop *loop;
    loop_fn fn;
    void *arg;
};

struct loop_signal {
    ev_signal ev;
    struct loop *loop;
    loop_signal_fn fn;
    void *arg;
};

/* An idle watcher of libev is passed over while others are busy; so a check
 * watcher does the work and the idle one only keeps the loop from sleeping. */
struct loop_idle {
    ev_check work;
    ev_idle awake;
    struct loop *loop;
    loop_fn fn;
    void *arg;
    bool is_on;
};

usec clock_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (usec)now.tv_sec * 1000000 + (usec)now.tv_nsec / 1000;
}

int64_t wall_usec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

usec loop_clock(const struct loop *l)
{
    (void)l;
    return clock_usec();
}

static void on_turn(struct ev_loop *ev, ev_check *w, int revents)
{
    struct loop *l = w->data;

    (void)ev;
    (void)revents;
    l->now = clock_usec();
}

struct loop *loop_new(void)
{
    struct loop *l = mem_zero(1, sizeof(*l));

    l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    must(l->ev);
    l->now = clock_usec();
    ev_check_init(&l->turn, on_turn);
    ev_set_priority(&l->turn, EV_MAXPRI);
    l->turn.data = l;
    ev_check_start(l->ev, &l->turn);
    return l;
}

void loop_free(struct loop *l)
{
    if (l) {
        ev_check_stop(l->ev, &l->turn);
        ev_loop_destroy(l->ev);
        free(l);
    }
}

/* libev forgets a break that comes before its run; ours must not be lost. */
void loop_run(struct loop *l)
{
    while (!l->is_stopped) {
        ev_run(l->ev, 0);
    }
    l->is_stopped = false;
}

void loop_stop(struct loop *l)
{
    l->is_stopped = true;
    ev_break(l->ev, EVBREAK_ALL);
}

usec loop_now(struct loop *l)
{
    return l->now;
}

/* A broken descriptor comes as both readable and writable, so that its owner
 * runs into the error itself. */
static void on_io(struct ev_loop *ev, ev_io *w, int revents)
{
    struct loop_io *io = w->data;
    bool is_broken = revents & EV_ERROR;

    (void)ev;
    io->fn(io->arg, is_broken || (revents & EV_READ),
           is_broken || (revents & EV_WRITE));
}

struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn fn, void *arg)
{
    struct loop_io *io = mem_zero(1, sizeof(*io));

    io->loop = l;
    io->fn = fn;
    io->arg = arg;
    ev_io_init(&io->ev, on_io, fd, 0);
    io->ev.data = io;
    return io;
}

void loop_io_want(struct loop_io *io, bool readable, bool writable)
{
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

    if (ev_is_active(&io->ev)) {
        if ((io->ev.events & (EV_READ | EV_WRITE)) == events) {
            return;
        }
        ev_io_stop(io->loop->ev, &io->ev);
    }
    if (events) {
        ev_io_set(&io->ev, io->ev.fd, events);
        ev_io_start(io->loop->ev, &io->ev);
    }
}

void loop_io_free(struct loop_io *io)
{
    if (io) {
        ev_io_stop(io->loop->ev, &io->ev);
        free(io);
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    struct loop_timer *t = w->data;

    (void)ev;
    (void)revents;
    t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg)
{
    struct loop_timer *t = mem_zero(1, sizeof(*t));

    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    ev_timer_init(&t->ev, on_timer, 0, 0);
    t->ev.data = t;
    return t;
}

/* libev counts from the start of the turn: what this turn has used already is
 * added, or a long callback would shorten every timer it sets. */
static void start_timer(struct loop_timer *t, usec after, usec period)
{
    usec late = clock_usec() - t->loop->now;

    ev_timer_stop(t->loop->ev, &t->ev);
    ev_timer_set(&t->ev, (double)(after + late) / 1e6, (double)period / 1e6);
    ev_timer_start(t->loop->ev, &t->ev);
}

void loop_timer_set(struct loop_timer *t, usec after)
{
    start_timer(t, after, 0);
}

void loop_timer_every(struct loop_timer *t, usec period)
{
    start_timer(t, period, period);
}

void loop_timer_stop(struct loop_timer *t)
{
    ev_timer_stop(t->loop->ev, &t->ev);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return ev_is_active(&t->ev) || ev_is_pending(&t->ev);
}

void loop_timer_free(struct loop_timer *t)
{
    if (t) {
        ev_timer_stop(t->loop->ev, &t->ev);
        free(t);
    }
}

static void on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
    struct loop_signal *s = w->data;

    (void)ev;
    (void)revents;
    s->fn(s->arg, w->signum);
}

struct loop_signal *loop_signal_new(struct loop *l, int signum,
                                    loop_signal_fn fn, void *arg)
{
    struct loop_signal *s = mem_zero(1, sizeof(*s));

    s->loop = l;
    s->fn = fn;
    s->arg = arg;
    ev_signal_init(&s->ev, on_signal, signum);
    s->ev.data = s;
    ev_signal_start(l->ev, &s->ev);
    return s;
}

void loop_signal_free(struct loop_signal *s)
{
    if (s) {
        ev_signal_stop(s->loop->ev, &s->ev);
        free(s);
    }
}

static void on_idle(struct ev_loop *ev, ev_check *w, int revents)
{
    struct loop_idle *i = w->data;

    (void)ev;
    (void)revents;
    i->fn(i->arg);
}

static void stay_awake(struct ev_loop *ev, ev_idle *w, int revents)
{
    (void)ev;
    (void)w;
    (void)revents;
}

struct loop_idle *loop_idle_new(struct loop *l, loop_fn fn, void *arg)
{
    struct loop_idle *i = mem_zero(1, sizeof(*i));

    i->loop = l;
    i->fn = fn;
    i->arg = arg;
    ev_check_init(&i->work, on_idle);
    i->work.data = i;
    ev_idle_init(&i->awake, stay_awake);
    return i;
}

void loop_idle_set(struct loop_idle *i, bool on)
{
    if (on == i->is_on) {
        return;
    }
    i->is_on = on;
    if (on) {
        ev_check_start(i->loop->ev, &i->work);
        ev_idle_start(i->loop->ev, &i->awake);
    } else {
        ev_check_stop(i->loop->ev, &i->work);
        ev_idle_stop(i->loop->ev, &i->awake);
    }
}

void loop_idle_free(struct loop_idle *i)
{
    if (i) {
        loop_idle_set(i, false);
        free(i);
    }
}

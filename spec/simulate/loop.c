/*
 * base/loop.h over the world: time is virtual, and chance decides how late what
 * is due comes. The descriptors are not the kernel's: the fakes say what can be
 * read, and all can be written.
 */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "proc.h"
#include "world.h"

/* A callback comes so late at the most, when nothing is wrong. */
static const usec LATE_USEC = 300;

/* ---- time ---- */

usec clock_usec(void)
{
    return world.now;
}

usec loop_clock(const struct loop *l)
{
    (void)l;
    return world.now;
}

usec loop_now(struct loop *l)
{
    (void)l;
    return world.now;
}

/* From a morning in 2026 on. */
int64_t wall_usec(void)
{
    return 1780000000000000 + (int64_t)world.now;
}

/* ---- descriptors ---- */

enum { FD_FIRST = 1 << 20, FD_MOST = 4096 };

static struct {
    bool is_open;
    bool is_readable;
    struct loop_io *io;
} fds[FD_MOST];

bool sim_fd_is(int fd)
{
    return fd >= FD_FIRST;
}

int sim_fd_new(void)
{
    for (int i = 0; i < FD_MOST; i++) {
        if (!fds[i].is_open) {
            fds[i].is_open = true;
            fds[i].is_readable = false;
            fds[i].io = NULL;
            return FD_FIRST + i;
        }
    }
    broken("descriptors leak: %d are open", FD_MOST);
}

void sim_fd_close(int fd)
{
    expect(fds[fd - FD_FIRST].is_open, "descriptor %d is closed twice", fd);
    expect(!fds[fd - FD_FIRST].io,
           "descriptor %d is closed while it is watched", fd);
    fds[fd - FD_FIRST].is_open = false;
}

/* ---- the loop ---- */

struct loop {
    struct proc *proc;
    struct event end;
};

struct loop_io {
    struct event event;
    struct loop *loop;
    loop_io_fn fn;
    void *arg;
    int fd;
    bool reads, writes;
};

struct loop_timer {
    struct event event;
    loop_fn fn;
    void *arg;
    usec period;
};

struct loop_idle {
    struct event event;
    loop_fn fn;
    void *arg;
    bool is_on;
};

struct loop_signal {
    loop_signal_fn fn;
    void *arg;
};

struct loop *loop_new(void)
{
    struct loop *l = mem_zero(1, sizeof(*l));

    l->proc = proc_now();
    return l;
}

void loop_free(struct loop *l)
{
    free(l);
}

void loop_run(struct loop *l)
{
    proc_wait(l->proc);
}

void loop_stop(struct loop *l)
{
    proc_end(l->proc);
}

static void look(struct loop_io *io)
{
    bool can = io->writes || (io->reads && fds[io->fd - FD_FIRST].is_readable);

    if (!can) {
        event_stop(&io->event);
    } else if (!io->event.place) {
        event_set(&io->event, chance_usec(1, LATE_USEC));
    }
}

static void on_io(void *arg)
{
    struct loop_io *io = arg;
    int at = io->fd - FD_FIRST;
    bool can_read = io->reads && fds[at].is_readable;

    io->fn(io->arg, can_read, io->writes);
    if (fds[at].io == io) {
        look(io);
    }
}

void sim_fd_readable(int fd, bool is)
{
    fds[fd - FD_FIRST].is_readable = is;
    if (fds[fd - FD_FIRST].io) {
        look(fds[fd - FD_FIRST].io);
    }
}

struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn fn, void *arg)
{
    struct loop_io *io = mem_zero(1, sizeof(*io));

    must(sim_fd_is(fd) && !fds[fd - FD_FIRST].io);
    *io = (struct loop_io){.loop = l, .fn = fn, .arg = arg, .fd = fd};
    io->event = (struct event){.fn = on_io, .arg = io, .proc = l->proc};
    fds[fd - FD_FIRST].io = io;
    return io;
}

void loop_io_want(struct loop_io *io, bool readable, bool writable)
{
    io->reads = readable;
    io->writes = writable;
    look(io);
}

void loop_io_free(struct loop_io *io)
{
    if (io) {
        event_stop(&io->event);
        fds[io->fd - FD_FIRST].io = NULL;
        free(io);
    }
}

static void on_timer(void *arg)
{
    struct loop_timer *t = arg;

    if (t->period) {
        event_set(&t->event, t->period);
    }
    t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg)
{
    struct loop_timer *t = mem_zero(1, sizeof(*t));

    t->fn = fn;
    t->arg = arg;
    t->event = (struct event){.fn = on_timer, .arg = t, .proc = l->proc};
    return t;
}

void loop_timer_set(struct loop_timer *t, usec after)
{
    t->period = 0;
    event_set(&t->event, after + chance_usec(1, LATE_USEC));
}

void loop_timer_every(struct loop_timer *t, usec period)
{
    t->period = period;
    event_set(&t->event, period);
}

void loop_timer_stop(struct loop_timer *t)
{
    event_stop(&t->event);
}

bool loop_timer_is_set(const struct loop_timer *t)
{
    return t->event.place != 0;
}

void loop_timer_free(struct loop_timer *t)
{
    if (t) {
        event_stop(&t->event);
        free(t);
    }
}

struct loop_signal *loop_signal_new(struct loop *l, int signum,
                                    loop_signal_fn fn, void *arg)
{
    struct loop_signal *s = mem_zero(1, sizeof(*s));

    *s = (struct loop_signal){.fn = fn, .arg = arg};
    if (signum == SIGTERM) {
        proc_on_term(l->proc, fn, arg);
    }
    return s;
}

void loop_signal_free(struct loop_signal *s)
{
    free(s);
}

static void on_idle(void *arg)
{
    struct loop_idle *i = arg;

    event_set(&i->event, chance_usec(1, 20));
    i->fn(i->arg);
}

struct loop_idle *loop_idle_new(struct loop *l, loop_fn fn, void *arg)
{
    struct loop_idle *i = mem_zero(1, sizeof(*i));

    i->fn = fn;
    i->arg = arg;
    i->event = (struct event){.fn = on_idle, .arg = i, .proc = l->proc};
    return i;
}

void loop_idle_set(struct loop_idle *i, bool on)
{
    if (on && !i->is_on) {
        event_set(&i->event, chance_usec(1, 20));
    } else if (!on) {
        event_stop(&i->event);
    }
    i->is_on = on;
}

void loop_idle_free(struct loop_idle *i)
{
    if (i) {
        event_stop(&i->event);
        free(i);
    }
}

/* ---- what else asks the kernel: see the link in the Makefile ---- */

int __real_close(int fd);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __real_write(int fd, const void *p, size_t n);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_close(int fd);
ssize_t __wrap_read(int fd, void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

int __wrap_eventfd(unsigned value, int flags)
{
    (void)value;
    (void)flags;
    return sim_fd_new();
}

int __wrap_close(int fd)
{
    if (!sim_fd_is(fd)) {
        return __real_close(fd);
    }
    sim_fd_close(fd);
    return 0;
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
    if (!sim_fd_is(fd)) {
        return __real_read(fd, p, n);
    }
    if (!fds[fd - FD_FIRST].is_readable) {
        errno = EAGAIN;
        return -1;
    }
    sim_fd_readable(fd, false);
    memset(p, 0, n);
    return (ssize_t)n;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (!sim_fd_is(fd)) {
        return __real_write(fd, p, n);
    }
    sim_fd_readable(fd, true);
    return (ssize_t)n;
}

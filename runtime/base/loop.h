#pragma once
/*
 * The event loop: libev behind its kinds of watcher. Their callbacks are the
 * only calls from this layer into higher ones. Whoever makes a watcher owns it
 * and frees it with *_free, which its own callback may do too. One loop a
 * process, one thread.
 */
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t usec;

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct loop_idle;
typedef void (*loop_fn)(void *arg);
typedef void (*loop_io_fn)(void *arg, bool readable, bool writable);
typedef void (*loop_signal_fn)(void *arg, int signum);

struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Monotonic time as of this turn of the loop. */
usec loop_now(struct loop *l);
/* Monotonic time now: a clock read. */
usec clock_usec(void);
/* The same, by the clock of a loop: what its users decide by. */
usec loop_clock(const struct loop *l);
/* Wall clock, microseconds since 1970. */
int64_t wall_usec(void);

struct loop_io *loop_io_new(struct loop *l, int fd, loop_io_fn fn, void *arg);
/* Which of the two to wait for; neither stops the watcher. */
void loop_io_want(struct loop_io *io, bool readable, bool writable);
void loop_io_free(struct loop_io *io);

/* A timer that is not running; runs once when set. */
struct loop_timer *loop_timer_new(struct loop *l, loop_fn fn, void *arg);
void loop_timer_set(struct loop_timer *t, usec after);
/* Runs every [period] from now on. */
void loop_timer_every(struct loop_timer *t, usec period);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_set(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

struct loop_signal *loop_signal_new(struct loop *l, int signum,
                                    loop_signal_fn fn, void *arg);
void loop_signal_free(struct loop_signal *s);

/* Called once a turn while it is on, and the loop does not sleep meanwhile: for
 * work that is cut into pieces. */
struct loop_idle *loop_idle_new(struct loop *l, loop_fn fn, void *arg);
void loop_idle_set(struct loop_idle *i, bool on);
void loop_idle_free(struct loop_idle *i);

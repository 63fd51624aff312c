#pragma once
/*
 * The world that workers run in, in one process and in virtual time: one queue
 * of events, one state of chance, the processes, and a trace of what happened
 * last. The same seed runs the same way.
 *
 * A step is one event: a callback of a worker's loop, a message that comes to a
 * server, or something that the world does to them. Events of a process that is
 * frozen wait until it is thawed, in their order.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct proc;
typedef void (*event_fn)(void *arg);

/* Lies in what it belongs to; zeroed: it is not set. */
struct event {
    usec at;
    uint64_t order;
    event_fn fn;
    void *arg;
    struct proc *proc; /* whose it is; NULL: the world's */
    uint32_t place;    /* in the queue, from 1; 0: not set */
};

struct world {
    uint64_t seed;
    uint64_t chance; /* xorshift64* */
    usec now;
    uint64_t steps;
    bool is_calm; /* no faults any more: all must come to its end */
};
extern struct world world;

void world_open(uint64_t seed);
/* The next event; false: there is none. */
bool world_step(void);
void event_set(struct event *e, usec after);
void event_stop(struct event *e);

uint32_t chance_below(uint32_t n);
/* In a thousand. */
bool chance(uint32_t per_mille);
/* From [least] to [most], more often small. */
usec chance_usec(usec least, usec most);

/* One line of the trace; the last ones are printed when something is wrong. */
void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints why, the seed and the trace, and ends the process. */
_Noreturn void broken(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
#define expect(ok, ...)                                                        \
    do {                                                                       \
        if (!(ok)) {                                                           \
            broken(__VA_ARGS__);                                               \
        }                                                                      \
    } while (0)

/* -- descriptors that only the simulator knows: see loop.c -- */

/* A new one, for the process that runs. */
int sim_fd_new(void);
void sim_fd_close(int fd);
bool sim_fd_is(int fd);
void sim_fd_readable(int fd, bool is);

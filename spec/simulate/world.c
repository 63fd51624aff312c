/* See world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "proc.h"

struct world world;

/* ---- chance ---- */

static uint64_t next_chance(void)
{
    world.chance ^= world.chance >> 12;
    world.chance ^= world.chance << 25;
    world.chance ^= world.chance >> 27;
    return world.chance * 0x2545f4914f6cdd1d;
}

uint32_t chance_below(uint32_t n)
{
    return (uint32_t)((next_chance() >> 32) * n >> 32);
}

bool chance(uint32_t per_mille)
{
    return chance_below(1000) < per_mille;
}

usec chance_usec(usec least, usec most)
{
    uint32_t n = (uint32_t)(most - least + 1);
    uint32_t a = chance_below(n), b = chance_below(n);

    return least + (a < b ? a : b);
}

/* ---- the trace ---- */

enum { TRACE_LINES = 60, TRACE_LEN = 300 };
static char lines[TRACE_LINES][TRACE_LEN];
static uint64_t n_lines;
static bool is_loud;

void trace(const char *fmt, ...)
{
    char *line = lines[n_lines++ % TRACE_LINES];
    int n = snprintf(line, TRACE_LEN, "%8llu %11.6f  ",
                     (unsigned long long)world.steps, (double)world.now / 1e6);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + n, TRACE_LEN - (size_t)n, fmt, ap);
    va_end(ap);
    if (is_loud) {
        fprintf(stderr, "%s\n", line);
    }
}

void broken(const char *fmt, ...)
{
    uint64_t from = n_lines > TRACE_LINES ? n_lines - TRACE_LINES : 0;
    va_list ap;

    if (!is_loud) {
        for (uint64_t i = from; i < n_lines; i++) {
            fprintf(stderr, "%s\n", lines[i % TRACE_LINES]);
        }
    }
    fprintf(stderr, "simulate: step %llu: ", (unsigned long long)world.steps);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nsimulate: SEED=%llu fails\n",
            (unsigned long long)world.seed);
    fflush(NULL);
    _exit(1);
}

/* ---- the queue: a heap by time, then by order ---- */

static struct event **heap; /* owned; from 1 */
static uint32_t n_events, cap_events;
static uint64_t n_ordered;

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct event *e, uint32_t at)
{
    heap[at] = e;
    e->place = at;
}

static void lift(uint32_t at)
{
    struct event *e = heap[at];

    for (; at > 1 && is_before(e, heap[at / 2]); at /= 2) {
        put(heap[at / 2], at);
    }
    put(e, at);
}

static void sink(uint32_t at)
{
    struct event *e = heap[at];

    for (uint32_t down; (down = 2 * at) <= n_events; at = down) {
        down += down < n_events && is_before(heap[down + 1], heap[down]);
        if (!is_before(heap[down], e)) {
            break;
        }
        put(heap[down], at);
    }
    put(e, at);
}

void event_stop(struct event *e)
{
    uint32_t at = e->place;

    if (at == 0) {
        return;
    }
    e->place = 0;
    if (at < n_events) {
        put(heap[n_events--], at);
        lift(at);
        sink(heap[at]->place);
    } else {
        n_events--;
    }
}

static void insert(struct event *e)
{
    if (++n_events >= cap_events) {
        cap_events = cap_events ? 2 * cap_events : 256;
        heap = mem_grow(heap, cap_events * sizeof(struct event *));
    }
    put(e, n_events);
    lift(n_events);
}

void event_set(struct event *e, usec after)
{
    event_stop(e);
    e->at = world.now + after;
    e->order = ++n_ordered;
    insert(e);
}

bool world_step(void)
{
    struct event *e;

    if (n_events == 0) {
        return false;
    }
    e = heap[1];
    event_stop(e);
    if (e->at > world.now) {
        world.now = e->at;
    }
    if (e->proc && proc_frozen_until(e->proc) > world.now) {
        e->at = proc_frozen_until(e->proc);
        insert(e);
        return true;
    }
    world.steps++;
    if (e->proc) {
        proc_call(e->proc, e->fn, e->arg);
    } else {
        e->fn(e->arg);
    }
    return true;
}

void world_open(uint64_t seed)
{
    world =
        (struct world){.seed = seed,
                       .chance = seed * 0x9e3779b97f4a7c15 + 88172645463325252,
                       .now = 1000000};
    n_events = 0;
    n_ordered = 0;
    n_lines = 0;
    is_loud = getenv("TRACE") != NULL;
}

/* See lease.h. */
#include "flow/batch/lease.h"

#include <stdlib.h>

/* Records in the batches behind a bad one: from about half the way to where
 * the next one is to be expected, until bad ones are too rare to matter. */
enum { CAP_LEAST = 8, CAP_MOST = 4096 };

static const usec NEVER = UINT64_MAX;

struct waiting {
    uint64_t events;
    uint64_t bytes;
    usec oldest;
};

static struct waiting count_waiting(const struct lanes *lanes)
{
    struct waiting w = {0};

    for (const struct lane *l = lanes_in(lanes, LANE_READY); l;
         l = lanes_next(l)) {
        w.events += l->waiting.n;
        w.bytes += l->waiting.bytes;
        if (!w.oldest || l->waiting.since < w.oldest) {
            w.oldest = l->waiting.since;
        }
    }
    return w;
}

/* Of equal ones the first in (topic, partition) order. */
static bool is_before(usec a_since, const struct lane *a, usec b_since,
                      const struct lane *b)
{
    return a_since != b_since ? a_since < b_since : lane_compare(a, b) < 0;
}

/* The one that waits longest: each has its turn. */
static struct lane *find_searched(const struct lanes *lanes)
{
    struct lane *first = lanes_in(lanes, LANE_SEARCHED);

    for (struct lane *l = first; l; l = lanes_next(l)) {
        if (is_before(l->waiting.since, l, first->waiting.since, first)) {
            first = l;
        }
    }
    return first;
}

/* The one that was due first: each has its turn. */
static struct lane *find_waiting(const struct lanes *lanes, usec now)
{
    struct lane *first = NULL;

    for (struct lane *l = lanes_in(lanes, LANE_WAITING); l; l = lanes_next(l)) {
        if (now >= l->wait.retry_at &&
            (!first ||
             is_before(l->wait.retry_at, l, first->wait.retry_at, first))) {
            first = l;
        }
    }
    return first;
}

static bool has_more(const struct lane *a, const struct lane *b)
{
    return a->waiting.n != b->waiting.n ? a->waiting.n > b->waiting.n
                                        : lane_compare(a, b) < 0;
}

/* Those with the most records first, of equal ones the first: how many. One
 * look at each lane, however many there are. */
static uint32_t pick_largest(const struct lanes *lanes, struct lane **out)
{
    uint32_t n = 0;

    for (struct lane *l = lanes_in(lanes, LANE_READY); l; l = lanes_next(l)) {
        uint32_t at = n;

        if (n == LEASE_MAX_LANES && !has_more(l, out[n - 1])) {
            continue;
        }
        n += n < LEASE_MAX_LANES;
        at = at < n ? at : n - 1;
        for (; at > 0 && has_more(l, out[at - 1]); at--) {
            out[at] = out[at - 1];
        }
        out[at] = l;
    }
    return n;
}

/* How many of the lane's records fit; by their average size, since counting
 * bytes one by one would touch every message. At least one. */
static uint32_t fitting(const struct lane *l, uint32_t room, uint64_t bytes)
{
    uint64_t average = l->waiting.bytes / l->waiting.n + 1;
    uint64_t n = bytes / average;

    n = n < room ? n : room;
    n = n < l->waiting.n ? n : l->waiting.n;
    return n ? (uint32_t)n : 1;
}

static void set_lease(struct lease *out, struct lane *l, uint32_t n)
{
    *out = (struct lease){
        .lane = l, .n = n, .epoch = l->epoch, .start = l->position, .halt = -1};
}

static int compare(const void *a, const void *b)
{
    const struct lease *x = a, *y = b;

    return lane_compare(x->lane, y->lane);
}

static uint32_t fill(const struct lanes *lanes,
                     const struct plan_limits *limits, struct lease *out)
{
    struct lane *largest[LEASE_MAX_LANES];
    uint32_t room = limits->size, n = 0,
             n_largest = pick_largest(lanes, largest);
    uint64_t bytes = limits->bytes;

    while (room > 0 && bytes > 0 && n < n_largest) {
        struct lane *l = largest[n];
        uint32_t take = fitting(l, room, bytes);
        uint64_t size = (l->waiting.bytes / l->waiting.n + 1) * take;

        set_lease(&out[n++], l, take);
        room -= take;
        bytes -= size < bytes ? size : bytes;
    }
    /* In which batches lock rows of tidemill.lane. */
    qsort(out, n, sizeof(*out), compare);
    return n;
}

/* What nothing waits for is never due; what is full is due at once. */
static usec due_from(const struct waiting *w, uint32_t most,
                     const struct plan_limits *limits)
{
    if (w->events == 0) {
        return NEVER;
    }
    return w->events >= most || w->bytes >= limits->bytes
               ? 0
               : w->oldest + limits->linger_ms * 1000ULL;
}

static uint32_t take_alone(struct lane *l, const struct plan_limits *limits,
                           struct lease *out)
{
    uint32_t n = l->search.left  ? l->search.probe
                 : l->search.cap ? l->search.cap
                                 : limits->size;

    n = n < l->waiting.n ? n : l->waiting.n;
    n = n < limits->size ? n : limits->size;
    n = l->most && l->most < n ? l->most : n;
    set_lease(out, l, n);
    return 1;
}

/* Of the narrow lanes that are due the one that waits longest; [due_at]: when
 * the first of the others is. */
static struct lane *find_narrow(const struct lanes *lanes,
                                const struct plan_limits *limits, usec now,
                                usec *due_at)
{
    struct lane *oldest = NULL;

    for (struct lane *l = lanes_in(lanes, LANE_NARROW); l; l = lanes_next(l)) {
        struct waiting w = {.events = l->waiting.n,
                            .bytes = l->waiting.bytes,
                            .oldest = l->waiting.since};
        usec due = due_from(&w, l->most, limits);

        if (due > now) {
            *due_at = due < *due_at ? due : *due_at;
        } else if (!oldest || is_before(l->waiting.since, l,
                                        oldest->waiting.since, oldest)) {
            oldest = l;
        }
    }
    return oldest;
}

/* Narrow lanes and the others take turns: whoever waits longest. */
static uint32_t pick_due(const struct lanes *lanes,
                         const struct plan_limits *limits, usec now,
                         struct lease *out, usec *due_at)
{
    struct waiting wide = count_waiting(lanes);
    usec wide_due = due_from(&wide, limits->size, limits);
    usec later = wide_due > now ? wide_due : NEVER;
    struct lane *narrow = find_narrow(lanes, limits, now, &later);

    if (narrow && (wide_due > now || narrow->waiting.since <= wide.oldest)) {
        uint32_t most =
            narrow->most < limits->size ? narrow->most : limits->size;

        set_lease(out, narrow, fitting(narrow, most, limits->bytes));
        return 1;
    }
    if (wide_due <= now) {
        return fill(lanes, limits, out);
    }
    *due_at = later == NEVER ? 0 : later;
    return 0;
}

/* Whichever could be taken first: each kind has its turn. */
static struct lane *find_alone(const struct lanes *lanes, usec now)
{
    struct lane *searched = find_searched(lanes);
    struct lane *waiting = find_waiting(lanes, now);

    return !waiting || (searched &&
                        searched->waiting.since < waiting->wait.retry_at)
               ? searched
               : waiting;
}

uint32_t lease_pick(const struct lanes *lanes, const struct plan_limits *limits,
                    bool others_first, usec now, struct lease *out,
                    usec *due_at)
{
    struct lane *alone = find_alone(lanes, now);
    uint32_t n = 0;

    *due_at = 0;
    if (!alone || others_first) {
        n = pick_due(lanes, limits, now, out, due_at);
    }
    return n || !alone ? n : take_alone(alone, limits, out);
}

bool lease_is_alone(const struct lane *lane)
{
    return lane->state == LANE_SEARCHED || lane->state == LANE_WAITING;
}

void lease_halve(struct lane *lane, uint32_t n, bool was_alone)
{
    lane->most = was_alone && n > 1 ? n / 2 : n;
}

void lease_grow(struct lane *lane, uint32_t size)
{
    lane->most += lane->most ? lane->most / 4 + 1 : 0;
    lane->most = lane->most < size ? lane->most : 0;
}

void lease_search(struct lane *lane, uint32_t n, bool was_alone)
{
    lane->search.left = n;
    lane->search.probe = was_alone && n > 1 ? n / 2 : n;
}

void lease_cleared(struct lane *lane, uint32_t n)
{
    lane->search.run += n;
    if (lane->search.left > 0) {
        lane->search.left -= n < lane->search.left ? n : lane->search.left;
        lane->search.probe = (lane->search.left + 1) / 2;
    } else if (lane->search.cap > 0) {
        lane->search.cap =
            lane->search.cap < CAP_MOST ? 2 * lane->search.cap : 0;
    }
}

void lease_found(struct lane *lane)
{
    uint32_t half = lane->search.run / 2;

    lane->search.left = lane->search.probe = 1;
    lane->search.cap = half < CAP_LEAST  ? CAP_LEAST
                       : half < CAP_MOST ? half
                                         : CAP_MOST;
    lane->search.run = 0;
}

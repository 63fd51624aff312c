/* See lease.h. */
#include "flow/batch/lease.h"

/* Records in the batches behind a bad one: from about half the way to where
 * the next one is to be expected, until bad ones are too rare to matter. */
enum { CAP_LEAST = 8, CAP_MOST = 4096 };

static const usec NEVER = UINT64_MAX;

struct waiting {
    uint64_t events;
    uint64_t bytes;
    usec oldest;
};

static bool is_free(const struct lane *l)
{
    return l->is_assigned && !l->is_leased && !l->is_halted &&
           !l->needs_claim && !l->needs_letters && l->inbox.count > 0;
}

/* One that waits for others is no company, however long it has waited: what
 * is in its batch would wait with it. */
static bool is_plain(const struct lane *l)
{
    return is_free(l) && !l->wait_until;
}

static bool is_suspect(const struct lane *l)
{
    return is_plain(l) && (l->suspect_left || l->cap);
}

/* May it share a batch with others? */
static bool is_wide(const struct lane *l)
{
    return is_plain(l) && !is_suspect(l) && l->most == 0;
}

static struct waiting count_waiting(const struct lane *lanes)
{
    struct waiting w = {0};

    for (const struct lane *l = lanes; l; l = l->next) {
        if (is_wide(l)) {
            w.events += l->inbox.count;
            w.bytes += l->inbox.bytes;
            if (!w.oldest || l->waiting_since < w.oldest) {
                w.oldest = l->waiting_since;
            }
        }
    }
    return w;
}

/* The one that waits longest: each has its turn. */
static struct lane *find_suspect(struct lane *lanes)
{
    struct lane *first = NULL;

    for (struct lane *l = lanes; l; l = l->next) {
        if (is_suspect(l) &&
            (!first || l->waiting_since < first->waiting_since)) {
            first = l;
        }
    }
    return first;
}

/* The one that was due first: each has its turn. */
static struct lane *find_waiting(struct lane *lanes, usec now)
{
    struct lane *first = NULL;

    for (struct lane *l = lanes; l; l = l->next) {
        if (is_free(l) && l->wait_until && now >= l->wait_until &&
            (!first || l->wait_until < first->wait_until)) {
            first = l;
        }
    }
    return first;
}

/* The fattest first, of equal ones the first: how many. One look at each lane,
 * however many there are. */
static uint32_t fattest(struct lane *lanes, struct lane **out)
{
    uint32_t n = 0;

    for (struct lane *l = lanes; l; l = l->next) {
        uint32_t at = n;

        if (!is_wide(l) || (n == LEASE_MAX_LANES &&
                            l->inbox.count <= out[n - 1]->inbox.count)) {
            continue;
        }
        n += n < LEASE_MAX_LANES;
        at = at < n ? at : n - 1;
        for (; at > 0 && out[at - 1]->inbox.count < l->inbox.count; at--) {
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
    uint64_t average = l->inbox.bytes / l->inbox.count + 1;
    uint64_t n = bytes / average;

    n = n < room ? n : room;
    n = n < l->inbox.count ? n : l->inbox.count;
    return n ? (uint32_t)n : 1;
}

static void set_lease(struct lease *out, struct lane *l, uint32_t n)
{
    *out = (struct lease){
        .lane = l, .n = n, .epoch = l->epoch, .start = l->position, .halt = -1};
}

/* Batches take row locks of tidemill.lane in (topic, partition) order, which
 * is the order of the source's list. */
static void put_in_order(struct lane *lanes, struct lease *out, uint32_t n)
{
    uint32_t at = 0;

    for (struct lane *l = lanes; l && at < n; l = l->next) {
        for (uint32_t i = at; i < n; i++) {
            if (out[i].lane == l) {
                struct lease swap = out[at];

                out[at++] = out[i];
                out[i] = swap;
                break;
            }
        }
    }
}

static uint32_t fill(struct lane *lanes, const struct plan_limits *limits,
                     struct lease *out)
{
    struct lane *fat[LEASE_MAX_LANES];
    uint32_t room = limits->size, n = 0, n_fat = fattest(lanes, fat);
    uint64_t bytes = limits->bytes;

    while (room > 0 && bytes > 0 && n < n_fat) {
        struct lane *l = fat[n];
        uint32_t take = fitting(l, room, bytes);
        uint64_t size = (l->inbox.bytes / l->inbox.count + 1) * take;

        set_lease(&out[n++], l, take);
        room -= take;
        bytes -= size < bytes ? size : bytes;
    }
    put_in_order(lanes, out, n);
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
    uint32_t n = l->suspect_left ? l->probe : l->cap ? l->cap : limits->size;

    n = n < l->inbox.count ? n : l->inbox.count;
    n = n < limits->size ? n : limits->size;
    n = l->most && l->most < n ? l->most : n;
    set_lease(out, l, n);
    return 1;
}

/* Of the narrow lanes that are due the one that waits longest; [due_at]: when
 * the first of the others is. */
static struct lane *find_narrow(struct lane *lanes,
                                const struct plan_limits *limits, usec now,
                                usec *due_at)
{
    struct lane *oldest = NULL;

    for (struct lane *l = lanes; l; l = l->next) {
        struct waiting w = {.events = l->inbox.count,
                            .bytes = l->inbox.bytes,
                            .oldest = l->waiting_since};
        bool is_narrow = is_plain(l) && !is_suspect(l) && l->most > 0;
        usec due = is_narrow ? due_from(&w, l->most, limits) : NEVER;

        if (due > now) {
            *due_at = due < *due_at ? due : *due_at;
        } else if (!oldest || l->waiting_since < oldest->waiting_since) {
            oldest = l;
        }
    }
    return oldest;
}

/* Narrow lanes and the others take turns: whoever waits longest. */
static uint32_t pick_due(struct lane *lanes, const struct plan_limits *limits,
                         usec now, struct lease *out, usec *due_at)
{
    struct waiting wide = count_waiting(lanes);
    usec wide_due = due_from(&wide, limits->size, limits);
    usec later = wide_due > now ? wide_due : NEVER;
    struct lane *narrow = find_narrow(lanes, limits, now, &later);

    if (narrow && (wide_due > now || narrow->waiting_since <= wide.oldest)) {
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
static struct lane *find_alone(struct lane *lanes, usec now)
{
    struct lane *suspect = find_suspect(lanes);
    struct lane *waiting = find_waiting(lanes, now);

    return !waiting || (suspect && suspect->waiting_since < waiting->wait_until)
               ? suspect
               : waiting;
}

uint32_t lease_pick(struct lane *lanes, const struct plan_limits *limits,
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
    return lane->wait_until || lane->suspect_left || lane->cap;
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

void lease_suspect(struct lane *lane, uint32_t n, bool was_alone)
{
    lane->suspect_left = n;
    lane->probe = was_alone && n > 1 ? n / 2 : n;
}

void lease_cleared(struct lane *lane, uint32_t n)
{
    lane->run += n;
    if (lane->suspect_left > 0) {
        lane->suspect_left -= n < lane->suspect_left ? n : lane->suspect_left;
        lane->probe = (lane->suspect_left + 1) / 2;
    } else if (lane->cap > 0) {
        lane->cap = lane->cap < CAP_MOST ? 2 * lane->cap : 0;
    }
}

void lease_found(struct lane *lane)
{
    uint32_t half = lane->run / 2;

    lane->suspect_left = lane->probe = 1;
    lane->cap = half < CAP_LEAST  ? CAP_LEAST
                : half < CAP_MOST ? half
                                  : CAP_MOST;
    lane->run = 0;
}

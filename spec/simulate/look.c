/* See look.h. */
#include "look.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/err.h"
#include "broker.h"
#include "db.h"
#include "kafka/inbox.h"

enum { LEASED_MOST = 64 };

/* ---- the workers ---- */

static uint32_t look_at_list(struct engine *g, const struct list *list,
                             uint32_t states)
{
    uint32_t n = 0;

    for (struct list_link *x = list->n ? list_first(list) : NULL;
         x && n < list->n; x = x->next) {
        struct batch *b = list_item(x, struct batch, link);

        expect(states >> b->state & 1,
               "a batch of state %d is in the list of "
               "others",
               (int)b->state);
        expect(b->run == &g->run, "a batch is of another engine");
        n++;
    }
    expect(n == list->n, "a list of %u batches has %u", list->n, n);
    return n;
}

enum {
    PROBE_MOST = 100,
    BUSY = 1 << BATCH_FETCHING | 1 << BATCH_COMPARING | 1 << BATCH_LOADING |
           1 << BATCH_OPENING | 1 << BATCH_WRITING | 1 << BATCH_DOUBTING |
           1 << BATCH_ASKING
};

/* When each batch was last seen that the database did not have. */
enum { BATCHES_SEEN = 256 };
static struct {
    const struct batch *batch;
    usec at;
} seen_idle[BATCHES_SEEN];

/* One that waits for an answer knows since when, for held_up.c, which tells people
 * of it after a while. A look at positions goes on with the time of its COMMIT. */
static void look_at_wait(const struct batch *b, bool is_asking)
{
    uint32_t i = 0;

    while (i < BATCHES_SEEN - 1 && seen_idle[i].batch &&
           seen_idle[i].batch != b) {
        i++;
    }
    if (!is_asking) {
        seen_idle[i].batch = b;
        seen_idle[i].at = world.now;
    } else if (b->state != BATCH_ASKING) {
        expect(b->attempt.since && (seen_idle[i].batch != b ||
                                    b->attempt.since >= seen_idle[i].at),
               "a batch of state %d does not know since when it waits",
               (int)b->state);
    }
}

/* A batch that waits for nobody's answer has no connection, and is no probe. */
static void look_at_batch(const struct engine *g, const struct batch *b)
{
    const struct breaker *k = &g->worker.database.breaker;
    bool is_asking = BUSY >> b->state & 1;
    bool is_probe = k->state == BREAKER_HALF_OPEN && k->is_probing &&
                    b->attempt.ticket == k->era;

    look_at_wait(b, is_asking);
    expect(is_asking || !b->attempt.conn,
           "a batch of state %d has a connection", (int)b->state);
    expect(is_asking || !b->attempt.ticket,
           "a batch of state %d has a ticket of the circuit breaker",
           (int)b->state);
    expect(!is_probe || b->state == BATCH_ASKING ||
               b->input.events.n <= PROBE_MOST,
           "a half-open breaker is tried with %u records", b->input.events.n);
}

static void look_at_leases(struct engine *g)
{
    const struct lane *seen[LEASED_MOST];
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->run.batches.n; i++) {
        const struct batch *b = &g->run.batches.all[i];

        look_at_batch(g, b);
        for (uint32_t k = 0; b->state != BATCH_FREE && k < b->input.n_leases;
             k++) {
            for (uint32_t m = 0; m < n; m++) {
                expect(seen[m] != b->input.leases[k].lane,
                       "lane %d is in two batches",
                       b->input.leases[k].lane->partition);
            }
            must(n < LEASED_MOST);
            seen[n++] = b->input.leases[k].lane;
        }
    }
    expect(n == g->worker.lanes.in[LANE_LEASED].n,
           "%u lanes are leased, and batches have %u",
           g->worker.lanes.in[LANE_LEASED].n, n);
}

/* What is not ours is not read, and what is begins at the position or behind. */
static void look_at_lanes(const struct engine *g)
{
    for (const struct lane *l = g->worker.lanes.first; l; l = l->after) {
        const struct partition *p = l->kafka;
        const rd_kafka_message_t *first =
            p->inbox.count ? inbox_at(&p->inbox, 0) : NULL;

        expect(p->is_assigned || p->is_used || !first,
               "lane %d was taken away, and has records", l->partition);
        expect(!first || !lane_is_ours(l) || first->offset >= l->position,
               "lane %d stands at %lld, and reads from %lld", l->partition,
               (long long)l->position, first ? (long long)first->offset : 0);
    }
}

static uint32_t conns_of(const struct engine *g)
{
    uint32_t n = 0;

    n += g->claim.conn != NULL;
    n += g->halts.conn != NULL;
    n += g->letters.conn != NULL;
    n += g->publish.conn != NULL;
    for (uint32_t i = 0; i < g->run.batches.n; i++) {
        const struct batch *b = &g->run.batches.all[i];

        n += b->attempt.conn != NULL;
    }
    return n;
}

static uint32_t tickets_of(const struct engine *g, uint32_t era)
{
    uint32_t n = 0;

    n += g->claim.ticket == era;
    n += g->halts.ticket == era;
    n += g->letters.ticket == era;
    n += g->publish.ticket == era;
    for (uint32_t i = 0; i < g->run.batches.n; i++) {
        n += g->run.batches.all[i].attempt.ticket == era;
    }
    return n;
}

static void look_at(struct engine *g)
{
    uint32_t n =
        look_at_list(g, &g->run.batches.free, 1 << BATCH_FREE) +
        look_at_list(g, &g->run.batches.decoding, 1 << BATCH_DECODING) +
        look_at_list(g, &g->run.batches.ready, 1 << BATCH_READY) +
        look_at_list(g, &g->run.batches.busy, BUSY) +
        look_at_list(g, &g->run.batches.resolving, 1 << BATCH_RESOLVING) +
        look_at_list(g, &g->run.batches.waiting, 1 << BATCH_WAITING);

    expect(n == g->run.batches.n, "of %u batches %u are in lists",
           g->run.batches.n, n);
    look_at_leases(g);
    look_at_lanes(g);
    expect(!g->worker.database.breaker.is_probing ||
               tickets_of(g, g->worker.database.breaker.era) > 0,
           "a probe of the circuit breaker is out, and nobody has its ticket");
    if (g->worker.source) {
        expect(conns_of(g) == pgpool_in_use(g->worker.database.pool),
               "%u connections are taken, and %u are somebody's",
               pgpool_in_use(g->worker.database.pool), conns_of(g));
    }
}

/* ---- what people see ---- */

static const usec WORDS_USEC = 40000000, NOTED_USEC = 5000000;

static struct {
    int64_t position, epoch;
    usec since;        /* it stands there, though there are records to come */
    usec halted_since; /* its worker says so, and its row does not */
} lanes[PARTITIONS_MOST];
static usec next_look;

static void rest(void)
{
    for (uint32_t i = 0; i < PARTITIONS_MOST; i++) {
        lanes[i].since = lanes[i].halted_since = world.now;
    }
}

void look_open(void)
{
    memset(seen_idle, 0, sizeof(seen_idle));
    memset(lanes, 0, sizeof(lanes));
    rest();
    next_look = 0;
}

static bool is_well(const struct proc *p)
{
    return p && p->is_alive && p->engine && p->frozen_until <= world.now;
}

static bool stands(uint32_t i, const struct lane_value *v)
{
    int64_t at = v->has_offset ? v->next_offset : 0;
    bool has_moved = at != lanes[i].position || v->epoch != lanes[i].epoch;

    lanes[i].position = at;
    lanes[i].epoch = v->epoch;
    return !has_moved && broker_from(i, at);
}

/* Why a lane stands is said of it, or of a worker. */
static bool has_words(struct proc *const *procs, uint32_t n, uint32_t i)
{
    bool has = false;

    for (uint32_t k = 0; k < n; k++) {
        const struct show *s = &procs[k]->engine->worker.show;
        const struct page_lane *p = page_lane(s->page, topic_name, (int32_t)i);

        has |= s->counts->waiting_for[0] != '\0';
        has |= (p->state == PAGE_LANE_HALTED || p->waits) && p->message[0];
    }
    return has;
}

static void tell_of_lane(const struct proc *p, uint32_t i)
{
    const struct lane *l =
        p->engine->worker.source
            ? lanes_find(p->engine->worker.source, topic_name, (int32_t)i)
            : NULL;

    if (l) {
        trace("%s: lane %u is in state %d, then %d, with %u records", p->name,
              i, (int)l->state, (int)l->next, l->kafka->inbox.count);
    }
}

/* Some words last until the next try alone: what counts is how long there were
 * none. */
static void look_for_words(struct proc *const *procs, uint32_t n, uint32_t i)
{
    const struct lane_value *v = &db_row(LANES, i, 0, "")->now.lane;

    if (!stands(i, v) || has_words(procs, n, i)) {
        lanes[i].since = world.now;
    }
    for (uint32_t k = 0; k < n && world.now - lanes[i].since >= WORDS_USEC;
         k++) {
        tell_of_lane(procs[k], i);
    }
    expect(world.now - lanes[i].since < WORDS_USEC,
           "lane %u stands at %lld for %.0f s, and nobody says why", i,
           (long long)v->next_offset,
           (double)(world.now - lanes[i].since) / 1e6);
}

/* And nothing is to be written of it. */
static bool is_halted(const struct engine *g, uint32_t i)
{
    const struct lane *l = lanes_find(g->worker.source, topic_name, (int32_t)i);
    const struct row *r = db_row(LANES, i, 0, "");

    return l && l->kafka->is_assigned && l->state == LANE_HALTED &&
           halts_are_written(&g->halts) && !r->holder &&
           r->now.lane.epoch == l->epoch && !r->now.lane.is_halted;
}

/* A halt outlives its worker. */
static void look_for_halts(struct proc *const *procs, uint32_t n, uint32_t i)
{
    bool is_not_noted = false;

    for (uint32_t k = 0; k < n; k++) {
        const struct engine *g = procs[k]->engine;

        is_not_noted |= g->worker.source && is_halted(g, i);
    }
    if (!is_not_noted) {
        lanes[i].halted_since = world.now;
    }
    expect(world.now - lanes[i].halted_since < NOTED_USEC,
           "lane %u is halted, and its row does not say so", i);
}

/* Once a second, while all workers run: what one shows that is frozen is old. */
static void look_at_page(struct proc *const *procs, uint32_t n)
{
    uint32_t n_well = 0;

    if (world.now < next_look) {
        return;
    }
    next_look = world.now + 1000000;
    for (uint32_t i = 0; i < n; i++) {
        n_well += is_well(procs[i]);
    }
    if (n_well < n) {
        rest();
        return;
    }
    for (uint32_t i = 0; i < n_partitions; i++) {
        look_for_words(procs, n, i);
        look_for_halts(procs, n, i);
    }
}

void look(struct proc *const *procs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (procs[i] && procs[i]->is_alive && procs[i]->engine) {
            look_at(procs[i]->engine);
        }
    }
    look_at_page(procs, n);
}

/*
 * See pool.h. A connection's place says who may touch it; place_set() alone
 * changes it, so that the counts are the metrics. Wake-ups go through a timer
 * of their own: whoever takes or gives is never called back from that call.
 */
#include "postgres/wire/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/backoff.h"
#include "base/random.h"
#include "model/deadlines.h"

enum place {
    PLACE_OPENING, /* at most one */
    PLACE_IDLE,    /* taken last in, first out: the others may grow old */
    PLACE_TAKEN,   /* the taker's */
    PLACE_ROLLING, /* given back inside a transaction */
    PLACES
};

struct pool_slot {
    struct pgconn *c; /* owned */
    enum place place;
};

struct pgpool {
    struct loop *loop;
    struct pgtarget target; /* its texts are owned */
    struct plan_retry retry;
    loop_fn wake;
    void *arg;
    struct pool_slot *slots; /* owned; [0..n_slots) in use, idle ones by age */
    uint32_t n_slots;
    uint32_t max;
    uint32_t counts[PLACES];
    struct loop_timer *waking;  /* owned */
    struct loop_timer *backoff; /* owned; set: do not connect now */
    uint32_t n_failures;        /* in a row */
    uint32_t n_failed;          /* of all attempts */
    uint32_t n_opened;          /* likewise */
    bool is_wanted;             /* somebody asked while we backed off */
    struct random random;
    struct err error;
};

static void place_set(struct pgpool *p, struct pool_slot *s, enum place place)
{
    p->counts[s->place]--;
    p->counts[place]++;
    s->place = place;
}

static struct pool_slot *slot_of(struct pgpool *p, const struct pgconn *c)
{
    for (uint32_t i = 0; i < p->n_slots; i++) {
        if (p->slots[i].c == c) {
            return &p->slots[i];
        }
    }
    must(!"connection of this pool");
    return NULL;
}

static void slot_drop(struct pgpool *p, struct pool_slot *s)
{
    p->counts[s->place]--;
    pgconn_free(s->c);
    p->n_slots--;
    for (; s < p->slots + p->n_slots; s++) {
        s[0] = s[1];
    }
}

/* Moves it to the end, where the next taker looks first. */
static void slot_rest(struct pgpool *p, struct pool_slot *s)
{
    place_set(p, s, PLACE_IDLE);
    struct pool_slot rested = *s;
    for (; s < p->slots + p->n_slots - 1; s++) {
        s[0] = s[1];
    }
    *s = rested;
}

static void wake_soon(struct pgpool *p)
{
    loop_timer_set(p->waking, 0);
}

static void on_waking(void *arg)
{
    struct pgpool *p = arg;
    p->wake(p->arg);
}

static void on_failed(struct pgpool *p, struct pool_slot *s)
{
    p->error = *pgconn_error(s->c);
    slot_drop(p, s);
    loop_timer_set(p->backoff,
                   backoff_delay(++p->n_failures, p->retry.floor_ms * 1000ULL,
                                 p->retry.cap_ms * 1000ULL,
                                 random_next(&p->random)));
    p->n_failed++;
    wake_soon(p);
}

static void on_opened(struct pgpool *p, struct pool_slot *s)
{
    p->n_failures = 0;
    p->n_opened++;
    p->error = (struct err){.class = ERR_NONE};
    slot_rest(p, s);
    wake_soon(p);
}

static void on_state(struct pgconn *c, void *arg)
{
    struct pgpool *p = arg;
    struct pool_slot *s = slot_of(p, c);
    bool is_dead = pgconn_state(c) == PGCONN_DEAD;
    switch (s->place) {
    case PLACE_OPENING:
        (is_dead ? on_failed : on_opened)(p, s);
        break;
    case PLACE_IDLE:
        slot_drop(p, s);
        break;
    default: /* its taker learns it from the next flush */
        break;
    }
}

static void connect_one(struct pgpool *p)
{
    if (p->n_slots == p->max || p->counts[PLACE_OPENING]) {
        return;
    }
    if (loop_timer_is_set(p->backoff)) {
        p->is_wanted = true;
        return;
    }
    p->is_wanted = false;
    p->slots[p->n_slots++] = (struct pool_slot){
        pgconn_open(p->loop, &p->target, on_state, p), PLACE_OPENING};
    p->counts[PLACE_OPENING]++;
}

static void on_backoff(void *arg)
{
    struct pgpool *p = arg;
    if (p->is_wanted) {
        connect_one(p);
    }
}

struct pgpool *pgpool_new(struct loop *l, const struct plan_database *d,
                          const char *application_name, loop_fn wake, void *arg)
{
    struct pgpool *p = mem_zero(1, sizeof(*p));
    p->loop = l;
    p->target = (struct pgtarget){.conninfo = mem_dup(d->write),
                                  .application_name = mem_dup(application_name),
                                  .timeouts = d->timeouts,
                                  .must_write = true};
    p->retry = d->retry;
    p->wake = wake;
    p->arg = arg;
    p->max = d->pool_max;
    p->slots = mem_zero(p->max, sizeof(*p->slots));
    p->waking = loop_timer_new(l, on_waking, p);
    p->backoff = loop_timer_new(l, on_backoff, p);
    random_seed(&p->random, (uint64_t)wall_usec() ^ clock_usec() << 20);
    return p;
}

void pgpool_free(struct pgpool *p)
{
    if (!p) {
        return;
    }
    for (uint32_t i = 0; i < p->n_slots; i++) {
        pgconn_free(p->slots[i].c);
    }
    loop_timer_free(p->waking);
    loop_timer_free(p->backoff);
    free(p->slots);
    free((char *)(uintptr_t)p->target.conninfo);
    free((char *)(uintptr_t)p->target.application_name);
    free(p);
}

struct pgconn *pgpool_take(struct pgpool *p)
{
    for (uint32_t i = p->n_slots; i-- > 0;) {
        struct pool_slot *s = &p->slots[i];
        if (s->place == PLACE_IDLE && pgconn_state(s->c) == PGCONN_IDLE) {
            place_set(p, s, PLACE_TAKEN);
            return s->c;
        }
    }
    connect_one(p);
    return NULL;
}

static void on_rolled_back(struct pgconn *c, const struct pgreply *reply,
                           void *arg)
{
    struct pgpool *p = arg;
    struct pool_slot *s = slot_of(p, c);
    if (reply->ok && pgconn_state(c) == PGCONN_IDLE &&
        !pgconn_in_transaction(c)) {
        slot_rest(p, s);
    } else {
        slot_drop(p, s);
    }
    wake_soon(p);
}

/* A connection in the middle of a flush is given up with it: whoever gave it
 * back does not want the answer. */
void pgpool_give(struct pgpool *p, struct pgconn *c)
{
    struct pool_slot *s = slot_of(p, c);
    must(s->place == PLACE_TAKEN);
    if (pgconn_state(c) != PGCONN_IDLE) {
        slot_drop(p, s);
    } else if (pgconn_in_transaction(c)) {
        place_set(p, s, PLACE_ROLLING);
        pgconn_add_sql(c, "ROLLBACK");
        pgconn_flush(c, PG_ROLLBACK_USEC, on_rolled_back, p);
        return;
    } else {
        slot_rest(p, s);
    }
    wake_soon(p);
}

void pgpool_rest(struct pgpool *p)
{
    for (uint32_t i = p->n_slots; i-- > 0;) {
        enum place place = p->slots[i].place;
        if (place == PLACE_IDLE || place == PLACE_OPENING) {
            slot_drop(p, &p->slots[i]);
        }
    }
    loop_timer_stop(p->backoff);
    p->is_wanted = false;
    p->n_failures = 0;
}

bool pgpool_set_conninfo(struct pgpool *p, const char *conninfo)
{
    char *old = (char *)(uintptr_t)p->target.conninfo;
    if (strcmp(old, conninfo) == 0) {
        return false;
    }
    p->target.conninfo = mem_dup(conninfo);
    free(old);
    loop_timer_stop(p->backoff);
    p->n_failures = 0;
    return true;
}

void pgpool_sweep(struct pgpool *p)
{
    p->target.n_sweeps++;
}

uint32_t pgpool_size(const struct pgpool *p)
{
    return p->n_slots - p->counts[PLACE_OPENING];
}

uint32_t pgpool_in_use(const struct pgpool *p)
{
    return p->counts[PLACE_TAKEN];
}

const struct err *pgpool_error(const struct pgpool *p)
{
    return &p->error;
}

uint32_t pgpool_failures(const struct pgpool *p)
{
    return p->n_failed;
}

uint32_t pgpool_opened(const struct pgpool *p)
{
    return p->n_opened;
}

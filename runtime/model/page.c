/* See page.h. */
#include "model/page.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "model/deadlines.h"
#include "model/plan.h"

/* The lock is held for the copy of one name. One that stands for 100 ms belongs
 * to a process that was stopped with it, which may go on at any time. */
enum { LOCK_TRIES = 2000, LOCK_NAP_NSEC = 50 * 1000 };

const uint64_t page_bounds[PAGE_BOUNDS] = {
    1000,    3000,    10000,    30000,    100000,     300000,
    1000000, 3000000, 10000000, 30000000, UINT64_MAX,
};

/* A backlog of an hour is told from one of a minute. */
const uint64_t page_age_bounds[PAGE_BOUNDS] = {
    10000,    30000,    100000,    300000,     1000000,    3000000,
    10000000, 60000000, 600000000, 3600000000, UINT64_MAX,
};

struct page *page_new(uint32_t n_workers)
{
    struct page *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    p->n_workers = n_workers < PAGE_WORKERS ? n_workers : PAGE_WORKERS;
    p->heartbeat_seconds = HEARTBEAT_SECONDS;
    return p;
}

void page_free(struct page *p)
{
    if (p) {
        munmap(p, sizeof(*p));
    }
}

static uint32_t named(struct page *p, const char *table)
{
    struct page_written *w = p->written;
    uint32_t i = 0;

    while (i < p->n_written &&
           strncmp(w[i].table, table, sizeof(w[i].table) - 1) != 0) {
        i++;
    }
    if (i == p->n_written) {
        snprintf(w[i].table, sizeof(w[i].table), "%s", table);
        p->n_written++;
    }
    return i;
}

void page_name_tables(struct page *p, const struct plan *plan)
{
    p->n_written = 0;
    for (uint32_t i = 0; i < plan->n_projections && i < PAGE_TABLES; i++) {
        p->written_as[i] = named(p, plan->projections[i].table);
    }
}

struct page_rows *page_rows(struct page *p, uint32_t projection, uint32_t slot)
{
    uint32_t as =
        projection < PAGE_TABLES ? p->written_as[projection] : PAGE_TABLES;

    return as < PAGE_TABLES ? &p->written[as].of[slot] : NULL;
}

void page_time_near(struct page_times *t, const uint64_t bounds[PAGE_BOUNDS],
                    uint64_t usec, uint32_t *bucket)
{
    uint32_t i = *bucket;

    while (usec > bounds[i]) {
        i++;
    }
    while (i > 0 && usec <= bounds[i - 1]) {
        i--;
    }
    t->usec += usec;
    t->n[i]++;
    *bucket = i;
}

void page_time(struct page_times *t, uint64_t usec)
{
    uint32_t bucket = 0;

    page_time_near(t, page_bounds, usec, &bucket);
}

uint64_t page_times_count(const struct page_times *t)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < PAGE_BOUNDS; i++) {
        n += t->n[i];
    }
    return n;
}

static bool exchange(uint32_t *lock, uint32_t *from, uint32_t to)
{
    return __atomic_compare_exchange_n(lock, from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* False: whoever has it does not get on. A process waits for it once, and not
 * for each of a thousand lanes. */
static bool lock(struct page *p)
{
    static uint32_t stuck;
    struct timespec nap = {.tv_nsec = LOCK_NAP_NSEC};
    uint32_t holder = 0;

    for (int i = 0; i < LOCK_TRIES; i++) {
        holder = 0;
        if (exchange(&p->lock, &holder, (uint32_t)getpid())) {
            stuck = 0;
            return true;
        }
        if (holder == stuck) {
            return false;
        }
        nanosleep(&nap, NULL);
    }
    stuck = holder;
    return false;
}

void page_unlock(struct page *p, uint32_t pid)
{
    exchange(&p->lock, &pid, 0);
}

/* Where the lane's number stands, or would, and which it is, or another one that
 * is none. Lanes never go, so a reader needs no lock; a page of rubbish ends the
 * search all the same. */
static uint32_t *place_of(struct page *p, const char *topic, int32_t partition,
                          uint32_t *number)
{
    uint64_t hash =
        hash_text(topic) + (uint32_t)partition * 0x9e3779b97f4a7c15u;

    hash ^= hash >> 32;
    for (uint32_t i = 0; i < PAGE_PLACES; i++) {
        uint32_t *place = &p->places[(hash + i) % PAGE_PLACES];

        *number = __atomic_load_n(place, __ATOMIC_ACQUIRE);
        if (*number == 0 || *number > PAGE_LANES) {
            return place;
        }
        if (p->lanes[*number - 1].partition == partition &&
            strcmp(p->lanes[*number - 1].topic, topic) == 0) {
            return place;
        }
    }
    return NULL;
}

static struct page_lane *find(struct page *p, const char *topic,
                              int32_t partition)
{
    uint32_t number = 0;
    /* The place may get the number of another lane just now. */
    bool has_place = place_of(p, topic, partition, &number) != NULL;

    return has_place && number > 0 && number <= PAGE_LANES
               ? &p->lanes[number - 1]
               : NULL;
}

static struct page_lane *add(struct page *p, const char *topic,
                             int32_t partition)
{
    uint32_t number;
    uint32_t *place = place_of(p, topic, partition, &number);
    struct page_lane *lane;

    if (!place || p->n_lanes >= PAGE_LANES) {
        return NULL;
    }
    lane = &p->lanes[p->n_lanes];
    *lane = (struct page_lane){.state = PAGE_LANE_UNOWNED,
                               .worker = -1,
                               .partition = partition,
                               .end = -1,
                               .stored = -1};
    snprintf(lane->topic, sizeof(lane->topic), "%s", topic);
    /* In this order: who is killed between them leaves no lane behind that
     * nobody finds, only a place whose lane will be another. */
    __atomic_store_n(place, p->n_lanes + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&p->n_lanes, p->n_lanes + 1, __ATOMIC_RELEASE);
    return lane;
}

struct page_lane *page_lane(struct page *p, const char *topic,
                            int32_t partition)
{
    struct page_lane *lane = find(p, topic, partition);

    if (lane) {
        return lane;
    }
    if (!lock(p)) {
        return NULL;
    }
    lane = find(p, topic, partition); /* another process was first */
    if (!lane) {
        lane = add(p, topic, partition);
    }
    page_unlock(p, (uint32_t)getpid());
    return lane;
}

uint32_t page_n_lanes(const struct page *p)
{
    uint32_t n = __atomic_load_n(&p->n_lanes, __ATOMIC_ACQUIRE);

    return n < PAGE_LANES ? n : PAGE_LANES;
}

void page_set_all(struct page *p)
{
    __atomic_store_n(&p->all_lanes, 1, __ATOMIC_RELEASE);
}

bool page_has_all(const struct page *p)
{
    return __atomic_load_n(&p->all_lanes, __ATOMIC_ACQUIRE) != 0;
}

void page_place_clear(struct page_place *at)
{
    __atomic_store_n(&at->is_set, 0, __ATOMIC_RELAXED);
    /* What comes next is not seen before it. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void page_place_set(struct page_place *at, const char *topic, int32_t partition,
                    int64_t offset)
{
    size_t i;

    page_place_clear(at);
    at->partition = partition;
    at->offset = offset;
    for (i = 0; i < sizeof(at->topic) - 1 && topic[i]; i++) {
        at->topic[i] = topic[i];
    }
    at->topic[i] = '\0';
    __atomic_store_n(&at->is_set, 1, __ATOMIC_RELEASE);
}

bool page_place_get(const struct page_place *at, struct page_place *out)
{
    bool was_set = __atomic_load_n(&at->is_set, __ATOMIC_ACQUIRE) != 0;

    *out = *at;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    out->is_set = was_set && __atomic_load_n(&at->is_set, __ATOMIC_RELAXED);
    out->topic[sizeof(out->topic) - 1] = '\0';
    return out->is_set;
}

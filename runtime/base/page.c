/* See page.h. */
#include "base/page.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* The lock is held for the copy of one name. One that stands for 100 ms
 * belongs to a process that was killed with it, and is taken over. */
enum { LOCK_TRIES = 2000, LOCK_NAP_NSEC = 50 * 1000 };

struct page *page_new(uint32_t n_workers)
{
    struct page *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        return NULL;
    }
    p->n_workers = n_workers < PAGE_WORKERS ? n_workers : PAGE_WORKERS;
    p->heartbeat_seconds = PAGE_HEARTBEAT_SECONDS;
    return p;
}

void page_free(struct page *p)
{
    if (p) {
        munmap(p, sizeof(*p));
    }
}

static void lock(struct page *p)
{
    struct timespec nap = {.tv_nsec = LOCK_NAP_NSEC};

    for (int i = 0; i < LOCK_TRIES; i++) {
        if (!__atomic_exchange_n(&p->lock, 1, __ATOMIC_ACQUIRE)) {
            return;
        }
        nanosleep(&nap, NULL);
    }
}

static struct page_lane *find(struct page *p, const char *topic,
                              int32_t partition)
{
    uint32_t n = __atomic_load_n(&p->n_lanes, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < n && i < PAGE_LANES; i++) {
        struct page_lane *lane = &p->lanes[i];

        if (lane->partition == partition && strcmp(lane->topic, topic) == 0) {
            return lane;
        }
    }
    return NULL;
}

static struct page_lane *add(struct page *p, const char *topic,
                             int32_t partition)
{
    struct page_lane *lane;

    if (p->n_lanes >= PAGE_LANES) {
        return NULL;
    }
    lane = &p->lanes[p->n_lanes];
    *lane = (struct page_lane){
        .state = LANE_UNOWNED, .worker = -1, .partition = partition, .end = -1};
    snprintf(lane->topic, sizeof(lane->topic), "%s", topic);
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
    lock(p);
    lane = find(p, topic, partition); /* another process was first */
    if (!lane) {
        lane = add(p, topic, partition);
    }
    __atomic_store_n(&p->lock, 0, __ATOMIC_RELEASE);
    return lane;
}

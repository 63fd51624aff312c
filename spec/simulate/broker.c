/* See broker.h: partitions, and the group. */
#include "broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"

struct broker_partition partitions[PARTITIONS_MOST];
uint32_t n_partitions;
const char topic_name[] = "events";

/* ---- partitions ---- */

static void group_open(void);

void broker_open(uint32_t n)
{
    n_partitions = n;
    for (uint32_t i = 0; i < n; i++) {
        partitions[i] = (struct broker_partition){.group_offset = -1};
    }
    group_open();
}

void broker_close(void)
{
    for (uint32_t i = 0; i < n_partitions; i++) {
        struct broker_partition *p = &partitions[i];

        for (uint32_t k = 0; k < p->n; k++) {
            free((char *)(uintptr_t)p->records[k].key);
            free((char *)(uintptr_t)p->records[k].value);
            free(p->records[k].facts);
        }
        free(p->records);
    }
}

struct broker_record *broker_append(uint32_t partition, char *key, char *value)
{
    struct broker_partition *p = &partitions[partition];
    struct broker_record *r;

    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 256;
        p->records = mem_grow(p->records, p->cap * sizeof(*p->records));
    }
    r = &p->records[p->n++];
    p->high += chance(30);
    *r = (struct broker_record){.offset = p->high++,
                                .time_ms = wall_usec() / 1000,
                                .key = key,
                                .key_len = (uint32_t)strlen(key),
                                .value = value,
                                .value_len = (uint32_t)strlen(value)};
    p->high += chance(30);
    consumers_wake(partition);
    return r;
}

struct broker_record *broker_from(uint32_t partition, int64_t offset)
{
    struct broker_partition *p = &partitions[partition];
    uint32_t low = 0, high = p->n;

    while (low < high) {
        uint32_t mid = (low + high) / 2;

        if (p->records[mid].offset < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < p->n ? &p->records[low] : NULL;
}

struct broker_record *broker_find(uint32_t partition, int64_t offset)
{
    struct broker_record *r = broker_from(partition, offset);

    return r && r->offset == offset ? r : NULL;
}

/* ---- the group ---- */

enum { MEMBERS_MOST = 16 };
static const usec SESSION_USEC = 10000000, TICK_USEC = 1000000;

static struct member {
    struct rd_kafka_s *rk; /* NULL: nobody; a killed one's is gone: is_dead */
    struct proc *proc;
    usec seen_at; /* it lived then */
    bool is_dead;
    bool has_lanes; /* it was given some, and not yet told to let go */
    bool must_answer;
} members[MEMBERS_MOST];
static bool is_sharing; /* all let go; then they get new ones */
static struct event tick, share;

static struct member *member_of(const struct rd_kafka_s *rk)
{
    for (int i = 0; i < MEMBERS_MOST; i++) {
        if (members[i].rk == rk && !members[i].is_dead && rk) {
            return &members[i];
        }
    }
    return NULL;
}

bool group_is_member(const struct rd_kafka_s *rk)
{
    return member_of(rk) != NULL;
}

static bool is_there(const struct member *m)
{
    return m->rk || m->is_dead;
}

static void share_if_ready(void)
{
    for (int i = 0; i < MEMBERS_MOST; i++) {
        if (is_there(&members[i]) && members[i].must_answer) {
            return;
        }
    }
    if (is_sharing && !share.place) {
        event_set(&share, chance_usec(1000, 300000));
    }
}

void group_shake(void)
{
    if (is_sharing) {
        return;
    }
    trace("group: shares out anew");
    is_sharing = true;
    for (int i = 0; i < MEMBERS_MOST; i++) {
        struct member *m = &members[i];

        m->must_answer = is_there(m) && m->has_lanes;
        if (m->has_lanes && !m->is_dead) {
            consumer_take(m->rk);
        }
        m->has_lanes = false;
    }
    share_if_ready();
}

/* By chance, so that lanes move in all ways; each gets a fair share only in the
 * long run. */
static void on_share(void *arg)
{
    static bool given[MEMBERS_MOST][PARTITIONS_MOST];
    int who[MEMBERS_MOST], n = 0;

    (void)arg;
    is_sharing = false;
    memset(given, 0, sizeof(given));
    for (int i = 0; i < MEMBERS_MOST; i++) {
        if (is_there(&members[i])) {
            who[n++] = i;
        }
    }
    for (uint32_t p = 0; n > 0 && p < n_partitions; p++) {
        given[who[chance_below((uint32_t)n)]][p] = true;
    }
    for (int i = 0; i < n; i++) {
        struct member *m = &members[who[i]];

        m->has_lanes = true;
        if (!m->is_dead) {
            consumer_give(m->rk, given[who[i]]);
        }
    }
}

static void drop(struct member *m)
{
    *m = (struct member){0};
    if (is_sharing) {
        share_if_ready();
    } else {
        group_shake();
    }
}

/* Whoever was not heard of for a session is no member any more; it learns so
 * when it lives again, and joins anew. */
static void on_tick(void *arg)
{
    (void)arg;
    event_set(&tick, TICK_USEC);
    for (int i = 0; i < MEMBERS_MOST; i++) {
        struct member *m = &members[i];

        if (!is_there(m)) {
            continue;
        }
        if (!m->is_dead && m->proc->frozen_until <= world.now) {
            m->seen_at = world.now;
        } else if (world.now > m->seen_at + SESSION_USEC) {
            struct rd_kafka_s *rk = m->is_dead ? NULL : m->rk;

            trace("group: a member is not heard of");
            drop(m);
            if (rk) {
                consumer_take(rk);
                group_join(rk);
            }
        }
    }
}

static void group_open(void)
{
    memset(members, 0, sizeof(members));
    is_sharing = false;
    tick = (struct event){.fn = on_tick};
    share = (struct event){.fn = on_share};
    event_set(&tick, TICK_USEC);
}

void group_join(struct rd_kafka_s *rk)
{
    int i = 0;

    if (member_of(rk)) {
        group_shake();
        return;
    }
    while (i < MEMBERS_MOST && is_there(&members[i])) {
        i++;
    }
    must(i < MEMBERS_MOST);
    members[i] = (struct member){
        .rk = rk, .proc = consumer_proc(rk), .seen_at = world.now};
    group_shake();
}

void group_leave(struct rd_kafka_s *rk)
{
    struct member *m = member_of(rk);

    if (m && m->proc->is_killed) {
        m->is_dead = true;
        m->must_answer = false;
        m->rk = NULL;
        if (is_sharing) {
            share_if_ready();
        }
    } else if (m) {
        drop(m);
    }
}

void group_revoked(struct rd_kafka_s *rk)
{
    struct member *m = member_of(rk);

    if (m && m->must_answer) {
        m->must_answer = false;
        share_if_ready();
    }
}

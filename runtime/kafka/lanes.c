/*
 * The lanes of the source: which the group gave us, which are read, and from
 * where. See consumer.h.
 *
 * Why no stale record gets through: librdkafka gives a partition that it stops
 * a new version, and records of an older one never leave its queue. So when
 * anything about the lanes changes, all of them are stopped and then started
 * at [fetched]. That costs the prefetch, some 50 ms, and happens seldom.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kafka/consumer.h"
#include "kafka/inbox.h"

typedef rd_kafka_topic_partition_list_t partitions;

/* A record comes within a second, if it is there and Kafka is well. */
static const usec CHECK_USEC = 10000000;

/* ---- the list ---- */

static int compare(const struct lane *a, const char *topic, int32_t partition)
{
    int order = strcmp(a->topic, topic);

    return order ? order
                 : (a->partition > partition) - (a->partition < partition);
}

static struct lane **place_of(struct lane **at, const char *topic,
                              int32_t partition)
{
    while (*at && compare(*at, topic, partition) < 0) {
        at = &(*at)->next;
    }
    return at;
}

struct topic *topics_find(struct source *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_topics; i++) {
        if (strcmp(s->topics[i].name, name) == 0) {
            return &s->topics[i];
        }
    }
    return NULL;
}

static void make_room(struct topic *t, int32_t partition)
{
    int32_t n = partition + 1;

    if (n > t->n_lanes) {
        t->lanes = mem_grow(t->lanes, (size_t)n * sizeof(*t->lanes));
        memset(t->lanes + t->n_lanes, 0,
               (size_t)(n - t->n_lanes) * sizeof(*t->lanes));
        t->n_lanes = n;
    }
}

/* [near]: the one that was asked for last, or NULL: a group gives its
 * partitions in order, and thousands of them. */
static struct lane *lane_at(struct source *s, struct topic *t,
                            int32_t partition, struct lane *near)
{
    struct lane **place, *lane;

    make_room(t, partition);
    if (t->lanes[partition]) {
        return t->lanes[partition];
    }
    place = place_of(near && compare(near, t->name, partition) < 0 ? &near->next
                                                                   : &s->lanes,
                     t->name, partition);
    lane = mem_zero(1, sizeof(*lane));
    lane->topic = t->name;
    lane->partition = partition;
    lane->topic_index = t->index;
    lane->next = *place;
    *place = lane;
    t->lanes[partition] = lane;
    return lane;
}

static struct lane *find_lane(const struct topic *t, int32_t partition)
{
    return t && partition >= 0 && partition < t->n_lanes ? t->lanes[partition]
                                                         : NULL;
}

struct lane *lanes_of(const rd_kafka_message_t *m)
{
    return find_lane(m->rkt ? rd_kafka_topic_opaque(m->rkt) : NULL,
                     m->partition);
}

struct lane *source_lane(struct source *s, const char *topic, int32_t partition)
{
    return find_lane(topics_find(s, topic), partition);
}

struct lane *source_lanes(struct source *s)
{
    return s->lanes;
}

void lanes_drop_inbox(struct source *s, struct lane *lane, uint32_t n)
{
    s->used_bytes -= inbox_cost(&lane->inbox);
    inbox_drop(&lane->inbox, n);
    s->used_bytes += inbox_cost(&lane->inbox);
    lane->waiting_since = lane->inbox.count ? loop_now(s->loop) : 0;
}

/* What is dropped is behind the position: its end was not reached after all. */
static void drop_all(struct source *s, struct lane *lane)
{
    lanes_drop_inbox(s, lane, lane->inbox.count);
    lane->eof = -1;
}

static void free_lane(struct source *s, struct lane **at)
{
    struct lane *lane = *at;

    drop_all(s, lane);
    inbox_close(&lane->inbox);
    s->topics[lane->topic_index].lanes[lane->partition] = NULL;
    *at = lane->next;
    free(lane);
}

void source_drop(struct source *s, struct lane *lane)
{
    must(!lane->is_leased && !lane->is_assigned && !lane->is_offered);
    free_lane(s, place_of(&s->lanes, lane->topic, lane->partition));
}

void lanes_free(struct source *s)
{
    while (s->lanes) {
        free_lane(s, &s->lanes);
    }
}

/* ---- what the group gives and takes ---- */

/* What a batch still leases belongs to the batch; the rest starts anew. */
static void offer_lane(struct lane *lane)
{
    lane->is_offered = true;
    lane->is_halted = lane->is_out = lane->is_parked = lane->is_lost = false;
    lane->is_stuck = false;
    lane->needs_claim = lane->is_checking = lane->is_doubted = false;
    lane->is_gone = lane->is_shelved = lane->has_no_leader = false;
    lane->is_slow = lane->is_untold = false;
    lane->n_shelved = 0;
    lane->trouble[0] = '\0';
    lane->retry_at = 0;
    if (!lane->is_leased) {
        lane->position = lane->fetched = -1;
    }
    lane->high = lane->eof = lane->advised = -1;
}

/* Assigning nothing answers the group, so that its next rebalance need not
 * wait for our claim, which may take as long as the database is away. */
static void offer(struct source *s, const partitions *list)
{
    partitions *none = rd_kafka_topic_partition_list_new(1);
    struct lane *last = NULL;

    for (int i = 0; i < list->cnt; i++) {
        struct topic *t = topics_find(s, list->elems[i].topic);

        if (t) {
            last = lane_at(s, t, list->elems[i].partition, last);
            offer_lane(last);
        }
    }
    s->news.is_offered = true;
    s->said[0] = '\0';
    rd_kafka_assign(s->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
}

static void take_away(struct source *s)
{
    for (struct lane *l = s->lanes; l; l = l->next) {
        l->is_offered = l->is_assigned = l->is_fetching = false;
        if (!l->is_leased) {
            drop_all(s, l);
        }
    }
    s->must_apply = s->is_started = false;
    s->news.is_revoked = true;
    rd_kafka_assign(s->rk, NULL);
}

void lanes_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                        partitions *list, void *source)
{
    struct source *s = source;

    (void)rk;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        offer(s, list);
    } else {
        take_away(s);
    }
    source_poke(s);
}

/* ---- what is read, and from where ---- */

static void change(struct source *s)
{
    s->must_apply = true;
    source_poke(s);
}

/* Why it could not be claimed is over; what Kafka says against reading it is
 * not, until something comes. */
static void unshelve(struct lane *lane)
{
    if (lane->is_shelved) {
        lane->trouble[0] = '\0';
    }
    lane->is_shelved = lane->is_gone = false;
    lane->is_slow = lane->is_untold = false;
    lane->n_shelved = 0;
}

/* From now on at lane->position, whatever was read before. */
static void restart(struct source *s, struct lane *lane)
{
    drop_all(s, lane);
    lane->is_fetching = false;
    lane->is_halted = lane->is_out = lane->is_parked = lane->is_lost = false;
    lane->is_stuck = false;
    lane->is_doubted = false;
    unshelve(lane);
    lane->check_until = loop_now(s->loop) + CHECK_USEC;
    lane->retry_at = 0;
    lane->suspect_left = lane->probe = lane->cap = lane->run = 0;
    lane->needs_letters = true;
    lane->fetched = lane->position;
    change(s);
}

void source_assign(struct source *s, struct lane *lane)
{
    must(lane->is_offered && !lane->is_leased);
    lane->is_offered = false;
    lane->is_assigned = true;
    restart(s, lane);
}

bool source_seek(struct source *s, struct lane *lane, struct err *e)
{
    must(!lane->is_leased);
    if (!lane->is_assigned) {
        return err_set(e, ERR_FENCED, "lane %s/%d was given to another worker",
                       lane->topic, lane->partition);
    }
    restart(s, lane);
    return true;
}

void source_halt(struct source *s, struct lane *lane)
{
    lane->is_halted = true;
    lane->is_out = true;
    if (!lane->is_leased) {
        drop_all(s, lane);
    }
    change(s);
}

void lanes_replaced(struct source *s, struct lane *lane)
{
    lane->is_doubted = lane->is_out = true;
    lane->is_fetching = false;
    change(s);
}

void source_shelve(struct source *s, struct lane *lane)
{
    bool was_read = lane->is_fetching;

    must(!lane->is_leased);
    drop_all(s, lane);
    lane->is_shelved = true;
    lane->is_fetching = false;
    s->must_apply |= was_read;
    source_poke(s);
}

static bool should_fetch(const struct source *s, const struct lane *l)
{
    return l->is_assigned && !l->is_out && !l->is_shelved && !l->is_parked &&
           !s->is_held;
}

static bool assign(struct source *s, const partitions *list, struct err *e)
{
    rd_kafka_resp_err_t err = rd_kafka_assign(s->rk, list);

    if (err) {
        return err_set(e, ERR_CONNECTION,
                       "Kafka at %s: lanes cannot be read: %s", s->brokers,
                       rd_kafka_err2str(err));
    }
    return true;
}

/*
 * librdkafka 2.0.2 aborts the process when a partition that is still stopping
 * is assigned and taken away again. Stopping and its answer go through the
 * queue that rd_kafka_assign() goes through, and waits for; so after three
 * more calls, which change nothing, the stop is over.
 */
static bool stop(struct source *s, struct err *e)
{
    partitions *none = rd_kafka_topic_partition_list_new(1);
    bool ok = true;

    for (int i = 0; i < 4 && ok; i++) {
        ok = assign(s, none, e);
    }
    rd_kafka_topic_partition_list_destroy(none);
    s->is_started = false;
    return ok;
}

static bool start(struct source *s, struct err *e)
{
    partitions *list = rd_kafka_topic_partition_list_new(16);
    bool ok = true;

    for (struct lane *l = s->lanes; l; l = l->next) {
        l->is_fetching = should_fetch(s, l);
        if (l->is_fetching) {
            rd_kafka_topic_partition_list_add(list, l->topic, l->partition)
                ->offset = l->fetched - l->is_checking;
        }
    }
    if (list->cnt > 0) {
        ok = assign(s, list, e);
        s->is_started = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/* As long as a lane is only offered, none is read: each later lane would stop
 * and start all the others. */
bool lanes_apply(struct source *s, struct err *e)
{
    for (struct lane *l = s->lanes; l; l = l->next) {
        if (l->is_offered && !l->is_shelved) {
            return true;
        }
    }
    s->must_apply = false;
    return (!s->is_started || stop(s, e)) && start(s, e);
}

/* ---- the cap, and what changes by itself ---- */

static bool can_give_way(const struct lane *l)
{
    return l->is_assigned && l->is_halted && !l->is_leased && !l->needs_claim &&
           l->inbox.count > 0;
}

void lanes_give_way(struct source *s)
{
    bool has_any = false;

    for (struct lane *l = s->lanes; l; l = l->next) {
        if (can_give_way(l)) {
            drop_all(s, l);
            l->is_parked = has_any = true;
            l->is_fetching = false;
            l->fetched = l->position;
        }
    }
    s->is_held = !has_any;
    change(s);
}

static void note_since(const struct source *s, bool is, usec *since)
{
    if (!is) {
        *since = 0;
    } else if (!*since) {
        *since = loop_now(s->loop);
    }
}

/* Kafka has more than came. When the end of what may be read is behind us, a
 * transaction that is open holds back what comes behind its begin. */
static void note_waits(struct source *s, struct lane *l)
{
    bool is_at_end = l->eof >= 0 && l->eof >= l->fetched;

    note_since(s, is_at_end && l->high > l->eof, &l->open_since);
    note_since(s,
               !is_at_end && l->is_fetching && l->inbox.count == 0 &&
                   !s->full_since && l->high > l->fetched,
               &l->starved_since);
}

void lanes_look(struct source *s)
{
    for (struct lane *l = s->lanes; l; l = l->next) {
        int64_t low, high;

        if (l->is_out && !l->is_leased && l->inbox.count > 0) {
            drop_all(s, l);
        }
        l->is_lost |= l->is_stuck && l->inbox.count == 0;
        if (l->is_parked && !l->is_halted) {
            l->is_parked = false;
            change(s);
        }
        if (l->is_fetching &&
            !rd_kafka_get_watermark_offsets(s->rk, l->topic, l->partition, &low,
                                            &high) &&
            high >= 0) {
            l->high = high;
        }
        note_waits(s, l);
    }
}

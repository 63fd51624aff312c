/*
 * The partitions of the source: which the group gave us, which are read, and from
 * where. See source_part.h.
 *
 * Why no stale record gets through: librdkafka gives a partition that it stops
 * a new version, and records of an older one never leave its queue. So when
 * anything about the partitions changes, all of them are stopped and then started
 * at [fetched]. That costs the prefetch, some 50 ms, and happens seldom.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kafka/inbox.h"
#include "kafka/source_part.h"

typedef rd_kafka_topic_partition_list_t topic_list;

/* A record comes within a second, if it is there and Kafka is well. */
static const usec CHECK_USEC = 10000000;

/* ---- the list ---- */

static int compare(const struct partition *a, const char *topic, int32_t number)
{
    int order = strcmp(a->topic, topic);

    return order ? order : (a->number > number) - (a->number < number);
}

static struct partition **place_of(struct partition **at, const char *topic,
                                   int32_t number)
{
    while (*at && compare(*at, topic, number) < 0) {
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

static void make_room(struct topic *t, int32_t number)
{
    int32_t n = number + 1;

    if (n > t->n_partitions) {
        t->partitions =
            mem_grow(t->partitions, (size_t)n * sizeof(*t->partitions));
        memset(t->partitions + t->n_partitions, 0,
               (size_t)(n - t->n_partitions) * sizeof(*t->partitions));
        t->n_partitions = n;
    }
}

/* [near]: the one that was asked for last, or NULL: a group gives its
 * partitions in order, and thousands of them. */
static struct partition *partition_at(struct source *s, struct topic *t,
                                      int32_t number, struct partition *near)
{
    struct partition **place, *p;

    make_room(t, number);
    if (t->partitions[number]) {
        return t->partitions[number];
    }
    place =
        place_of(near && compare(near, t->name, number) < 0 ? &near->next
                                                            : &s->partitions,
                 t->name, number);
    p = mem_zero(1, sizeof(*p));
    p->topic = t->name;
    p->number = number;
    p->topic_index = t->index;
    p->next = *place;
    *place = p;
    t->partitions[number] = p;
    return p;
}

static struct partition *find(const struct topic *t, int32_t number)
{
    return t && number >= 0 && number < t->n_partitions ? t->partitions[number]
                                                        : NULL;
}

struct partition *partitions_find(const rd_kafka_message_t *m)
{
    return find(m->rkt ? rd_kafka_topic_opaque(m->rkt) : NULL, m->partition);
}

struct partition *source_partition(struct source *s, const char *topic,
                                   int32_t number)
{
    return find(topics_find(s, topic), number);
}

struct partition *source_partitions(struct source *s)
{
    return s->partitions;
}

void partitions_note(struct source *s, struct partition *p)
{
    if (!p->is_noted) {
        p->is_noted = true;
        p->next_noted = NULL;
        *s->noted_end = p;
        s->noted_end = &p->next_noted;
    }
}

struct partition *source_noted(struct source *s)
{
    struct partition *p = s->noted;

    if (p) {
        p->is_noted = false;
        s->noted = p->next_noted;
        s->noted_end = s->noted ? s->noted_end : &s->noted;
    }
    return p;
}

static void note_lost(struct source *s, struct partition *p)
{
    if (p->is_stuck && p->inbox.count == 0 && !p->is_lost) {
        p->is_lost = true;
        partitions_note(s, p);
        source_poke(s);
    }
}

void partitions_drop_inbox(struct source *s, struct partition *p, uint32_t n)
{
    s->used_bytes -= inbox_cost(&p->inbox);
    inbox_drop(&p->inbox, n);
    s->used_bytes += inbox_cost(&p->inbox);
    p->waiting_since = p->inbox.count ? loop_now(s->loop) : 0;
    note_lost(s, p);
}

void partitions_stuck(struct source *s, struct partition *p)
{
    p->is_stuck = true;
    note_lost(s, p);
}

/* What is dropped is behind the position: its end was not reached after all. */
static void drop_all(struct source *s, struct partition *p)
{
    partitions_drop_inbox(s, p, p->inbox.count);
    p->eof = -1;
}

void partitions_free(struct source *s)
{
    while (s->partitions) {
        struct partition *p = s->partitions;

        s->partitions = p->next;
        inbox_close(&p->inbox);
        free(p);
    }
}

/* ---- what the group gives and takes ---- */

static void clear_flags(struct partition *p)
{
    p->is_out = p->is_left_out = p->rests = p->is_parked = false;
    p->is_lost = p->is_stuck = p->is_replaced = p->is_checking = false;
}

/* What is still used belongs to the batch that does; the rest starts anew. */
static void offer_one(struct partition *p)
{
    p->is_offered = true;
    p->n_offers++;
    clear_flags(p);
    p->has_no_leader = false;
    p->trouble[0] = '\0';
    if (!p->is_used) {
        p->fetched = -1;
    }
    p->high = p->eof = p->advised = p->tell = -1;
}

/* Assigning nothing answers the group, so that its next rebalance need not
 * wait for our claim, which may take as long as the database is away. */
static void offer(struct source *s, const topic_list *list)
{
    topic_list *none = rd_kafka_topic_partition_list_new(1);
    struct partition *last = NULL;

    for (int i = 0; i < list->cnt; i++) {
        struct topic *t = topics_find(s, list->elems[i].topic);

        if (t) {
            last = partition_at(s, t, list->elems[i].partition, last);
            offer_one(last);
        }
    }
    s->news.is_offered = true;
    s->said[0] = '\0';
    rd_kafka_assign(s->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
}

static void take_away(struct source *s)
{
    for (struct partition *p = s->partitions; p; p = p->next) {
        p->is_offered = p->is_assigned = p->is_fetching = false;
        clear_flags(p);
        if (!p->is_used) {
            drop_all(s, p);
        }
    }
    s->must_apply = s->is_started = false;
    s->news.is_revoked = true;
    rd_kafka_assign(s->rk, NULL);
}

void partitions_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
                             topic_list *list, void *source)
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
void source_read(struct source *s, struct partition *p, int64_t position,
                 const struct anchor *below)
{
    must((p->is_offered || p->is_assigned) && !p->is_used);
    p->is_offered = false;
    p->is_assigned = true;
    drop_all(s, p);
    clear_flags(p);
    p->is_fetching = false;
    p->is_checking = below != NULL;
    p->anchor = below ? *below : p->anchor;
    p->check_until = loop_now(s->loop) + CHECK_USEC;
    p->fetched = position;
    change(s);
}

/* Records of another time must not come in between. */
static void stop_one(struct source *s, struct partition *p)
{
    s->must_apply |= p->is_fetching;
    p->is_fetching = false;
    p->rests = p->is_parked = false;
    if (!p->is_used) {
        drop_all(s, p);
    }
    source_poke(s);
}

void source_halt(struct source *s, struct partition *p)
{
    p->is_out = true;
    stop_one(s, p);
}

void source_leave_out(struct source *s, struct partition *p)
{
    must(!p->is_used);
    p->is_left_out = true;
    stop_one(s, p);
}

void source_rest(struct source *s, struct partition *p, bool rests)
{
    p->rests = rests;
    if (p->is_parked && !rests) {
        p->is_parked = false;
        change(s);
    }
}

void source_use(struct partition *p)
{
    must(p->is_assigned && !p->is_used);
    p->is_used = true;
}

void source_give_back(struct source *s, struct partition *p)
{
    p->is_used = false;
    if (p->is_out || !p->is_assigned) {
        drop_all(s, p);
    }
}

void partitions_replaced(struct source *s, struct partition *p)
{
    p->is_replaced = true;
    p->is_fetching = false;
    partitions_note(s, p);
    change(s);
}

static bool should_fetch(const struct source *s, const struct partition *p)
{
    return p->is_assigned && !p->is_out && !p->is_left_out && !p->is_replaced &&
           !p->is_parked && !s->is_held;
}

static bool assign(struct source *s, const topic_list *list, struct err *e)
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
    topic_list *none = rd_kafka_topic_partition_list_new(1);
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
    topic_list *list = rd_kafka_topic_partition_list_new(16);
    bool ok = true;

    for (struct partition *p = s->partitions; p; p = p->next) {
        p->is_fetching = should_fetch(s, p);
        if (p->is_fetching) {
            rd_kafka_topic_partition_list_add(list, p->topic, p->number)
                ->offset = p->fetched - p->is_checking;
        }
    }
    if (list->cnt > 0) {
        ok = assign(s, list, e);
        s->is_started = true;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

/* As long as one is only offered, none is read: each later one would stop and
 * start all the others. */
bool partitions_apply(struct source *s, struct err *e)
{
    for (struct partition *p = s->partitions; p; p = p->next) {
        if (p->is_offered && !p->is_left_out) {
            return true;
        }
    }
    s->must_apply = false;
    return (!s->is_started || stop(s, e)) && start(s, e);
}

/* ---- the cap, and what changes by itself ---- */

static bool can_park(const struct partition *p)
{
    return p->is_assigned && p->rests && !p->is_used && p->inbox.count > 0;
}

void partitions_drop_resting(struct source *s)
{
    bool has_any = false;

    for (struct partition *p = s->partitions; p; p = p->next) {
        if (can_park(p)) {
            const rd_kafka_message_t *first = inbox_at(&p->inbox, 0);

            p->fetched = first->offset;
            drop_all(s, p);
            p->is_parked = has_any = true;
            p->is_fetching = false;
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
static void note_waits(struct source *s, struct partition *p)
{
    bool is_at_end = p->eof >= 0 && p->eof >= p->fetched;

    note_since(s, is_at_end && p->high > p->eof, &p->open_since);
    note_since(s,
               !is_at_end && p->is_fetching && p->inbox.count == 0 &&
                   !s->full_since && p->high > p->fetched,
               &p->starved_since);
}

void partitions_look(struct source *s)
{
    for (struct partition *p = s->partitions; p; p = p->next) {
        int64_t low, high;

        if (p->is_fetching &&
            !rd_kafka_get_watermark_offsets(s->rk, p->topic, p->number, &low,
                                            &high) &&
            high >= 0) {
            p->high = high;
        }
        note_waits(s, p);
    }
}

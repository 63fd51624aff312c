/*
 * Where lanes begin that have no position: at `start` of kafka{}. For a
 * partition that a topic got later that is its first record, whatever `start`
 * says, or the records before the first claim would be lost; so the first
 * worker that sees a topic gives all its partitions their positions at once.
 * So does the first worker that sees a pipeline, since who comes next must
 * find that it has begun.
 *
 * A partition of which Kafka does not tell then, as one without a leader, has
 * begun all the same: its row says so (POSITION_UNBEGUN), and where it begins is
 * written once Kafka tells (claim_found.c).
 *
 * A lane that had a position, as this run has seen or the group offset says,
 * does not begin: its row is made anew, halted, at the last position that is
 * known (verify_missing). And a pipeline that has no position at all does not
 * count its history into tables that have rows, unless `onto_rows` says so: it
 * may be one that was renamed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/claim/claim_part.h"
#include "flow/lane/verify.h"
#include "flow/show/show.h"
#include "postgres/store/catalog_ask.h"

/* Rows first: those that another worker of this pipeline wrote came behind a
 * position, which is then seen. */
void beginning_ask(struct claim *c)
{
    catalog_ask_rows(c->conn, c->worker->now->plan);
    position_owners(c->conn, c->worker->now->plan);
}

/* ---- which lanes ---- */

/* Where the number of the first stands, plus one. */
static uint32_t *place_of(struct firsts *all, uint32_t topic, int32_t partition)
{
    struct places *p = &all->places[topic];
    uint32_t n = (uint32_t)partition + 1;

    if (n > p->n) {
        p->numbers = mem_grow(p->numbers, 2 * n * sizeof(*p->numbers));
        memset(p->numbers + p->n, 0, (2 * n - p->n) * sizeof(*p->numbers));
        p->n = 2 * n;
    }
    return &p->numbers[partition];
}

static void add(struct firsts *all, const char *topic, uint32_t topic_index,
                int32_t partition)
{
    if (all->n == all->cap) {
        all->cap = 2 * all->cap + 64;
        all->list = mem_grow(all->list, all->cap * sizeof(*all->list));
    }
    all->list[all->n++] = (struct first){.at = {.topic = topic,
                                                .topic_index = topic_index,
                                                .number = partition}};
    *place_of(all, topic_index, partition) = all->n;
}

static struct first *find(struct firsts *all, const struct lane *l)
{
    uint32_t number = *place_of(all, l->topic_index, l->partition);

    return number ? &all->list[number - 1] : NULL;
}

static bool is_of_now(const struct claim *c)
{
    return c->worker->now->plan->source.start == START_LATEST ||
           c->worker->now->plan->source.start == START_TIMESTAMP;
}

/* Every partition of the topic: those behind are known from now on. */
static void add_topic(struct claim *c, struct firsts *all, uint32_t topic)
{
    for (int32_t i = 0; i < c->topics->of[topic].n_partitions; i++) {
        add(all, c->worker->now->plan->source.topics[topic], topic, i);
    }
}

/* A lane whose topic begins here has been added with all of it, unless Kafka
 * has added its partition since it was asked. */
static void collect(struct claim *c, struct firsts *all)
{
    for (uint32_t t = 0; !all->has_any && t < c->topics->n; t++) {
        add_topic(c, all, t);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        const struct lane *l = c->claimed[i];

        if (c->lanes[i].found) {
            continue;
        }
        if (!find(all, l) && is_of_now(c) &&
            !c->topics->of[l->topic_index].is_known) {
            add_topic(c, all, l->topic_index);
        }
        if (!find(all, l)) {
            add(all, l->topic, l->topic_index, l->partition);
        }
        find(all, l)->is_claimed = true;
    }
}

/* ---- what is known of them ---- */

/* What Kafka is asked about lanes: as many of them, three answers each, and why
 * there is none. */
struct answers {
    struct partition **lanes; /* owned; borrowed from the list */
    int64_t *low, *high;      /* owned by [low] */
    int64_t *other;
    int *codes, *more; /* owned by [codes] */
};

static void open_answers(struct answers *a, struct firsts *all)
{
    a->lanes = mem_zero(all->n + 1, sizeof(struct partition *));
    a->low = mem_zero(3 * ((size_t)all->n + 1), sizeof(*a->low));
    a->high = a->low + all->n;
    a->other = a->high + all->n;
    a->codes = mem_zero(2 * ((size_t)all->n + 1), sizeof(*a->codes));
    a->more = a->codes + all->n;
    for (uint32_t i = 0; i < all->n; i++) {
        a->lanes[i] = &all->list[i].at;
    }
}

static bool tells_any(const struct claim *c, const struct firsts *all,
                      struct err *e)
{
    uint32_t i = 0;

    while (i < all->n && all->list[i].code) {
        i++;
    }
    if (i == all->n && i > 0) {
        source_no_offsets(c->worker->source, &all->list[0].at,
                          all->list[0].code, e);
        return false;
    }
    return true;
}

/* What the group was told is its coordinator's to say, for all lanes. */
static bool ask_kafka(struct claim *c, struct firsts *all, struct answers *a,
                      struct err *e)
{
    const struct plan_source *s = &c->worker->now->plan->source;
    uint32_t i = 0;

    source_committed(c->worker->source, a->lanes, all->n, a->other, a->codes);
    source_watermarks(c->worker->source, a->lanes, all->n, a->low, a->high,
                      a->more);
    for (; i < all->n; i++) {
        struct first *f = &all->list[i];

        f->code = a->codes[i] ? a->codes[i] : a->more[i];
        f->facts = (struct verify_facts){.has_group_offset = true,
                                         .group_offset = a->other[i],
                                         .low = a->low[i],
                                         .high = a->high[i]};
    }
    if (s->start == START_TIMESTAMP) {
        source_offsets_at(c->worker->source, a->lanes, all->n, s->start_ms,
                          a->other, a->more);
    }
    for (i = 0; i < all->n; i++) {
        all->list[i].code = all->list[i].code ? all->list[i].code : a->more[i];
    }
    return tells_any(c, all, e);
}

/* Where the lane begins; [at]: the offset of the time that the plan names. */
static int64_t find_offset(const struct claim *c, const struct first *f,
                           int64_t at)
{
    const struct verify_facts *k = &f->facts;

    if (c->topics->of[f->at.topic_index].is_known) {
        return k->low;
    }
    switch (c->worker->now->plan->source.start) {
    case START_LATEST:
        return k->high;
    case START_TIMESTAMP:
        return at < 0 ? k->high : at; /* no record is that young: the end */
    case START_GROUP:
        return k->group_offset < k->low ? k->low : k->group_offset;
    default:
        return k->low;
    }
}

static bool learn(struct claim *c, struct firsts *all, struct err *e)
{
    struct answers a;

    open_answers(&a, all);
    bool ok = ask_kafka(c, all, &a, e);

    for (uint32_t i = 0; ok && i < all->n; i++) {
        struct first *f = &all->list[i];

        show_seen(&c->worker->show, c->worker->source, f->at.topic,
                  f->at.number, &f->facts.epoch, &f->facts.position);
        f->offset = f->code ? POSITION_UNBEGUN : find_offset(c, f, a.other[i]);
    }
    free(a.lanes);
    free(a.low);
    free(a.codes);
    return ok;
}

/* ---- whether they may begin ---- */

/* Neither rows nor positions: all can be made again of what Kafka has, if it
 * has all. What the group was told is of a database that is no more. */
static bool is_anew(const struct first *f)
{
    return f->facts.epoch == 0 &&
           (f->facts.low == 0 || f->offset != f->facts.low);
}

/*
 * Its row is made all the same, so that it begins as all do, once Kafka tells
 * where: later it would be one that the topic got later. Not where it may have
 * had a position: that is seen when it can be asked about.
 */
static void begin_unanswered(const struct claim *c, struct first *f,
                             bool may_be_anew)
{
    bool is_group = c->worker->now->plan->source.start == START_GROUP &&
                    f->facts.group_offset >= 0;

    f->is_left = f->facts.epoch > 0 ||
                 c->topics->of[f->at.topic_index].is_known ||
                 (!may_be_anew && !is_group && f->facts.group_offset >= 0);
    f->offset = is_group ? f->facts.group_offset : POSITION_UNBEGUN;
}

/* How many lanes had a position. */
static uint32_t decide_all(struct claim *c, struct firsts *all)
{
    bool may_be_anew = firsts_are_empty(c, all);
    uint32_t n_gone = 0, n_anew = 0;

    for (uint32_t i = 0; i < all->n; i++) {
        struct first *f = &all->list[i];

        if (f->code) {
            begin_unanswered(c, f, may_be_anew);
            continue;
        }
        if (may_be_anew && is_anew(f)) {
            f->facts.has_group_offset = false;
            n_anew += f->facts.group_offset > f->offset;
        }
        n_gone += !verify_missing(f->at.topic, f->at.number, f->offset,
                                  &f->facts, &f->offset, &f->gone);
    }
    if (n_anew > 0) {
        log_line(LOG_WARN,
                 "the group has read these topics before, but tables and "
                 "positions are empty: all is applied anew",
                 "group=%s lanes=%u", c->worker->now->plan->source.group,
                 n_anew);
    }
    return n_gone;
}

/* ---- their rows ---- */

/* The epoch of a lane that was there before must be above all that anybody
 * has seen, or a worker that does not know yet could still write. */
static void make(struct claim *c, const struct first *f)
{
    bool is_gone = f->gone.class != ERR_NONE;
    int64_t now = wall_usec() / 1000000;

    c->made[c->n_made++] = (struct position){
        .topic = arena_printf(&c->kept, "%s", f->at.topic),
        .partition = f->at.number,
        .next_offset = f->offset,
        .epoch = !is_gone               ? 0
                 : now > f->facts.epoch ? now
                                        : f->facts.epoch,
        .halted = is_gone ? arena_printf(&c->kept, "%s", f->gone.text) : NULL,
        .anchor.ms = now * 1000};
}

static void leave_out(struct claim *c, const struct first *f)
{
    struct err e;
    uint32_t i = 0;

    while (i < c->n && (c->claimed[i]->topic_index != f->at.topic_index ||
                        c->claimed[i]->partition != f->at.number)) {
        i++;
    }
    if (i < c->n) {
        source_no_offsets(c->worker->source, c->partitions[i], f->code, &e);
        claim_leave_out(c, i, &e);
    }
}

/* Nothing is made before all is known. Of lanes that were there before, those
 * who have them know more than we do. */
static void make_all(struct claim *c, const struct firsts *all, uint32_t n_gone)
{
    c->made = mem_grow(c->made, (all->n + 1) * sizeof(*c->made));
    c->n_made = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        const struct first *f = &all->list[i];

        if (f->is_left && f->is_claimed) {
            leave_out(c, f);
        } else if (!f->is_left && (n_gone == 0 || f->is_claimed)) {
            make(c, f);
        }
    }
}

bool beginning_decide(struct claim *c, const struct pgreply *r, struct err *e)
{
    uint32_t n_topics = c->worker->now->plan->source.n_topics;
    struct firsts all = {.reply = r,
                         .places = mem_zero(n_topics + 1, sizeof(*all.places))};

    all.has_any =
        position_has_any(firsts_owners(c, &all), c->worker->now->plan);
    collect(c, &all);
    bool ok = learn(c, &all, e);
    uint32_t n_gone = ok ? decide_all(c, &all) : 0;

    ok = ok && (n_gone > 0 || firsts_may_begin(c, &all, e));
    if (ok) {
        make_all(c, &all, n_gone);
    }
    for (uint32_t t = 0; t < n_topics; t++) {
        free(all.places[t].numbers);
    }
    free(all.places);
    free(all.list);
    return ok;
}

bool beginning_may_lack(const struct claim *c, const struct position *p)
{
    const struct plan_source *s = &c->worker->now->plan->source;
    int64_t t = topics_index_of(c->topics, p->topic);

    return s->start == START_UNSAID || s->start == START_EARLIEST ||
           (t >= 0 && c->topics->of[t].is_known);
}

/* See beginning.h. */
#include "flow/engine/beginning.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/engine/engine.h"
#include "flow/lane/verify.h"
#include "flow/show/show.h"
#include "postgres/store/catalog_ask.h"

/* A lane without a row. */
struct first {
    struct partition at; /* topic, topic_index and number */
    struct verify_facts facts;
    int untold;      /* why Kafka does not tell what it holds; 0: it does */
    int64_t offset;  /* where it begins, or waits; POSITION_UNBEGUN: it begins,
                        once Kafka tells where */
    bool is_left;    /* it does not begin now */
    bool is_claimed; /* by the claim that asks */
    struct err gone; /* why it waits; class ERR_NONE: it begins */
};

/* Of one topic, by partition; thousands are looked up. */
struct places {
    uint32_t *numbers; /* owned; in the list, plus one; 0: it is not there */
    uint32_t n;
};

struct firsts {
    struct first *list; /* owned */
    uint32_t n, cap;
    struct places *places;       /* owned; by topic */
    bool has_any;                /* positions: the pipeline has begun before */
    const struct pgreply *reply; /* to beginning_ask */
};

/* Rows first: those that another worker of this pipeline wrote came behind a
 * position, which is then seen. */
void beginning_ask(struct engine *g)
{
    catalog_ask_rows(g->claim.conn, g->worker.now->plan);
    position_owners(g->claim.conn, g->worker.now->plan);
}

static const struct pg_result *owners(const struct engine *g,
                                      const struct firsts *all)
{
    return all->reply->results[g->worker.now->plan->n_projections];
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

static bool is_of_now(const struct engine *g)
{
    return g->worker.now->plan->source.start == START_LATEST ||
           g->worker.now->plan->source.start == START_TIMESTAMP;
}

/* Every partition of the topic: those behind are known from now on. */
static void add_topic(struct engine *g, struct firsts *all, uint32_t topic)
{
    for (int32_t i = 0; i < g->claim.topics[topic].n_partitions; i++) {
        add(all, g->worker.now->plan->source.topics[topic], topic, i);
    }
}

/* A lane whose topic begins here has been added with all of it, unless Kafka
 * has added its partition since it was asked. */
static void collect(struct engine *g, struct firsts *all)
{
    const struct claim *c = &g->claim;

    for (uint32_t t = 0; !all->has_any && t < c->n_topics; t++) {
        add_topic(g, all, t);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        const struct lane *l = c->claimed[i];

        if (c->lanes[i].found) {
            continue;
        }
        if (!find(all, l) && is_of_now(g) &&
            !c->topics[l->topic_index].is_known) {
            add_topic(g, all, l->topic_index);
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

static bool tells_any(const struct engine *g, const struct firsts *all,
                      struct err *e)
{
    uint32_t i = 0;

    while (i < all->n && all->list[i].untold) {
        i++;
    }
    if (i == all->n && i > 0) {
        source_untold(g->worker.source, &all->list[0].at, all->list[0].untold,
                      e);
        return false;
    }
    return true;
}

/* What the group was told is its coordinator's to say, for all lanes. */
static bool ask_kafka(struct engine *g, struct firsts *all, struct answers *a,
                      struct err *e)
{
    const struct plan_source *s = &g->worker.now->plan->source;
    uint32_t i = 0;

    source_committed(g->worker.source, a->lanes, all->n, a->other, a->codes);
    source_watermarks(g->worker.source, a->lanes, all->n, a->low, a->high,
                      a->more);
    for (; i < all->n; i++) {
        struct first *f = &all->list[i];

        f->untold = a->codes[i] ? a->codes[i] : a->more[i];
        f->facts = (struct verify_facts){.has_told = true,
                                         .told = a->other[i],
                                         .low = a->low[i],
                                         .high = a->high[i]};
    }
    if (s->start == START_TIMESTAMP) {
        source_offsets_at(g->worker.source, a->lanes, all->n, s->start_ms,
                          a->other, a->more);
    }
    for (i = 0; i < all->n; i++) {
        all->list[i].untold =
            all->list[i].untold ? all->list[i].untold : a->more[i];
    }
    return tells_any(g, all, e);
}

/* Where the lane begins; [at]: the offset of the time that the plan names. */
static int64_t find_offset(const struct engine *g, const struct first *f,
                           int64_t at)
{
    const struct verify_facts *k = &f->facts;

    if (g->claim.topics[f->at.topic_index].is_known) {
        return k->low;
    }
    switch (g->worker.now->plan->source.start) {
    case START_LATEST:
        return k->high;
    case START_TIMESTAMP:
        return at < 0 ? k->high : at; /* no record is that young: the end */
    case START_GROUP:
        return k->told < k->low ? k->low : k->told;
    default:
        return k->low;
    }
}

static bool learn(struct engine *g, struct firsts *all, struct err *e)
{
    struct answers a;

    open_answers(&a, all);
    bool ok = ask_kafka(g, all, &a, e);

    for (uint32_t i = 0; ok && i < all->n; i++) {
        struct first *f = &all->list[i];

        show_seen(&g->worker.show, g->worker.source, f->at.topic, f->at.number,
                  &f->facts.epoch, &f->facts.position);
        f->offset =
            f->untold ? POSITION_UNBEGUN : find_offset(g, f, a.other[i]);
    }
    free(a.lanes);
    free(a.low);
    free(a.codes);
    return ok;
}

/* ---- whether they may begin ---- */

static bool has_rows(const struct firsts *all, uint32_t projection)
{
    return catalog_has_rows(all->reply->results[projection]);
}

static bool is_empty(const struct engine *g, const struct firsts *all)
{
    for (uint32_t i = 0; i < g->worker.now->plan->n_projections; i++) {
        if (has_rows(all, i)) {
            return false;
        }
    }
    return !all->has_any;
}

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
static void judge_untold(const struct engine *g, struct first *f,
                         bool may_be_anew)
{
    bool is_group =
        g->worker.now->plan->source.start == START_GROUP && f->facts.told >= 0;

    f->is_left = f->facts.epoch > 0 ||
                 g->claim.topics[f->at.topic_index].is_known ||
                 (!may_be_anew && !is_group && f->facts.told >= 0);
    f->offset = is_group ? f->facts.told : POSITION_UNBEGUN;
}

/* How many lanes had a position. */
static uint32_t judge(struct engine *g, struct firsts *all)
{
    bool may_be_anew = is_empty(g, all);
    uint32_t n_gone = 0, n_anew = 0;

    for (uint32_t i = 0; i < all->n; i++) {
        struct first *f = &all->list[i];

        if (f->untold) {
            judge_untold(g, f, may_be_anew);
            continue;
        }
        if (may_be_anew && is_anew(f)) {
            f->facts.has_told = false;
            n_anew += f->facts.told > f->offset;
        }
        n_gone += !verify_missing(f->at.topic, f->at.number, f->offset,
                                  &f->facts, &f->offset, &f->gone);
    }
    if (n_anew > 0) {
        log_line(LOG_WARN,
                 "the group has read these topics before, but tables and "
                 "positions are empty: all is applied anew",
                 "group=%s lanes=%u", g->worker.now->plan->source.group,
                 n_anew);
    }
    return n_gone;
}

/* Rows that a batch function asks for by key may have been put there for it,
 * if nobody else can have made them of these topics. */
static bool is_reference(const struct engine *g, const struct firsts *all,
                         const struct plan_projection *p)
{
    return p->n_key > 0 && p->columns[0].from == FROM_ASKED &&
           !position_other(owners(g, all), g->worker.now->plan);
}

static bool refuse_rows(const struct engine *g, const struct firsts *all,
                        const char *table, struct err *e)
{
    const struct plan *p = g->worker.now->plan;
    const char *other = position_other(owners(g, all), p);

    return err_set(
        e, ERR_CONFIG,
        "table %s has rows, but pipeline '%s' has no position yet, and would "
        "count all records into them%s%s%s. If that is meant: start = { "
        "'earliest', onto_rows = true }, or a time in its place; 'latest' or "
        "'group' begin later; or empty the table",
        table, p->name, other ? ": was it renamed? '" : "", other ? other : "",
        other ? "' has positions of these topics: give it that name again"
              : " once more");
}

/* A time may be of long ago, said when the pipeline had another name. */
static bool is_of_before(const struct engine *g, const struct firsts *all)
{
    bool is_behind = false;

    for (uint32_t i = 0; i < all->n; i++) {
        is_behind |= all->list[i].untold ||
                     all->list[i].offset < all->list[i].facts.high;
    }
    return is_behind && position_other(owners(g, all), g->worker.now->plan);
}

static bool is_told(const struct firsts *all)
{
    bool is_any = false;

    for (uint32_t i = 0; i < all->n; i++) {
        is_any |= all->list[i].facts.told >= 0;
    }
    return is_any;
}

/* Records would be applied that may be in the rows already, and nobody has said
 * that this is meant. */
static bool is_unasked(const struct engine *g, const struct firsts *all)
{
    const struct plan_source *s = &g->worker.now->plan->source;

    if (s->onto_rows) {
        return false;
    }
    switch (s->start) {
    case START_LATEST:
        return false;
    case START_TIMESTAMP:
        return is_of_before(g, all);
    case START_GROUP:
        return !is_told(all);
    default:
        return true;
    }
}

static bool may_begin(const struct engine *g, const struct firsts *all,
                      struct err *e)
{
    bool is_said = g->worker.now->plan->source.start != START_UNSAID;

    if (all->has_any || !is_unasked(g, all)) {
        return true;
    }
    for (uint32_t i = 0; i < g->worker.now->plan->n_projections; i++) {
        const struct plan_projection *p = &g->worker.now->plan->projections[i];

        if (!has_rows(all, i)) {
            continue;
        }
        if (!plan_can_repeat(p) && !is_reference(g, all, p)) {
            return refuse_rows(g, all, p->table, e);
        }
        if (!is_said) {
            return err_set(e, ERR_CONFIG,
                           "table %s has rows, but this pipeline has no "
                           "position yet: say in kafka{} where to start: "
                           "start = 'earliest', 'latest', 'group' or a time "
                           "(or empty the table)",
                           p->table);
        }
    }
    return true;
}

/* ---- their rows ---- */

/* The epoch of a lane that was there before must be above all that anybody
 * has seen, or a worker that does not know yet could still write. */
static void make(struct engine *g, const struct first *f)
{
    struct claim *c = &g->claim;
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

static void leave_out(struct engine *g, const struct first *f)
{
    struct claim *c = &g->claim;
    struct err e;
    uint32_t i = 0;

    while (i < c->n && (c->claimed[i]->topic_index != f->at.topic_index ||
                        c->claimed[i]->partition != f->at.number)) {
        i++;
    }
    if (i < c->n) {
        source_untold(g->worker.source, c->partitions[i], f->untold, &e);
        claim_leave_out(g, i, &e);
    }
}

/* Nothing is made before all is known. Of lanes that were there before, those
 * who have them know more than we do. */
static void make_all(struct engine *g, const struct firsts *all,
                     uint32_t n_gone)
{
    struct claim *c = &g->claim;

    c->made = mem_grow(c->made, (all->n + 1) * sizeof(*c->made));
    c->n_made = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        const struct first *f = &all->list[i];

        if (f->is_left && f->is_claimed) {
            leave_out(g, f);
        } else if (!f->is_left && (n_gone == 0 || f->is_claimed)) {
            make(g, f);
        }
    }
}

bool beginning_decide(struct engine *g, const struct pgreply *r, struct err *e)
{
    uint32_t n_topics = g->worker.now->plan->source.n_topics;
    struct firsts all = {.reply = r,
                         .places = mem_zero(n_topics + 1, sizeof(*all.places))};

    all.has_any = position_has_any(owners(g, &all), g->worker.now->plan);
    collect(g, &all);
    bool ok = learn(g, &all, e);
    uint32_t n_gone = ok ? judge(g, &all) : 0;

    ok = ok && (n_gone > 0 || may_begin(g, &all, e));
    if (ok) {
        make_all(g, &all, n_gone);
    }
    for (uint32_t t = 0; t < n_topics; t++) {
        free(all.places[t].numbers);
    }
    free(all.places);
    free(all.list);
    return ok;
}

bool beginning_may_lack(const struct engine *g, const struct position *p)
{
    const struct plan_source *s = &g->worker.now->plan->source;
    uint32_t t = 0;

    while (t < s->n_topics && strcmp(s->topics[t], p->topic) != 0) {
        t++;
    }
    return s->start == START_UNSAID || s->start == START_EARLIEST ||
           (t < s->n_topics && g->claim.topics[t].is_known);
}

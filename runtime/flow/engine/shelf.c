/* See shelf.h. */
#include "flow/engine/shelf.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "base/retry.h"
#include "flow/engine/engine.h"
#include "flow/show/show.h"

enum {
    FLOOR_USEC = 500000,
    CAP_USEC = 2000000,
    GONE_USEC = 5000000,
    SLOW_USEC = 2000000,
    OVERDUE_USEC = 10000000,
    TOLD_MOST = 10 /* lines of one claim */
};

bool shelf_wants_claim(const struct lane *l, usec now)
{
    return (l->is_offered || (l->is_assigned && l->needs_claim)) &&
           !l->is_leased &&
           (!l->is_shelved || (now >= l->claim_at && !l->has_no_leader));
}

bool shelf_wants_look(const struct lane *l)
{
    return l->is_gone || l->is_untold || l->n_shelved == 0;
}

bool shelf_is_turn_of_slow(const struct lane *first, usec now)
{
    bool has_quick = false, is_overdue = false;

    for (const struct lane *l = first; l; l = l->next) {
        if (shelf_wants_claim(l, now)) {
            has_quick |= !l->is_slow;
            is_overdue |= l->is_slow && now >= l->claim_at + OVERDUE_USEC;
        }
    }
    return is_overdue || !has_quick;
}

static void show(struct engine *g, struct lane *l, const struct err *e)
{
    if (!l->trouble[0]) {
        l->troubled_at = clock_usec();
    }
    snprintf(l->trouble, sizeof(l->trouble), "%.239s", e->text);
    show_unclaimed(&g->show, l);
}

/* Thousands may have one reason. */
static void tell(struct engine *g, struct lane *l, const struct err *e)
{
    struct claim *c = &g->claim;

    l->is_told = true; /* for waits.c */
    if (!log_once(&l->told, e->text)) {
        return;
    }
    if (++c->n_told > TOLD_MOST) {
        c->n_untold++;
        return;
    }
    log_line(LOG_WARN, "lane cannot be claimed, and waits by itself",
             "lane=%s/%d class=%s sqlstate=%s error=%s", l->topic, l->partition,
             err_class_name(e->class), e->sqlstate[0] ? e->sqlstate : "-",
             log_quote(e->text));
}

void shelf_put(struct engine *g, struct lane *l, const struct err *e, usec took)
{
    usec now = clock_usec();
    usec delay =
        retry_delay(++l->n_shelved, FLOOR_USEC, CAP_USEC, (uint32_t)now);

    g->show.counts->errors[e->class]++;
    source_shelve(g->source, l);
    l->is_gone = false;
    l->is_untold = !e->sqlstate[0] && e->class != ERR_SCHEMA; /* by Kafka */
    l->is_slow = took > SLOW_USEC;
    l->claim_at = now + (l->is_slow ? 2 * took : delay);
    show(g, l, e);
    tell(g, l, e);
    snprintf(g->claim.why, sizeof(g->claim.why), "%.239s", e->text);
}

/* Nobody tells what a partition without a leader holds: kafka/topics.c sees when
 * it has one. */
void shelf_gone(struct engine *g, usec now)
{
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        bool is_gone =
            topics_is_gone(&g->claim.topics[l->topic_index], l->partition);

        if (shelf_wants_claim(l, now) && (is_gone || l->has_no_leader)) {
            source_shelve(g->source, l);
            l->is_gone = is_gone;
            l->claim_at = now + GONE_USEC;
            g->waits.has_leaders = false; /* every second from now on */
        }
    }
}

/* What came of it before it went is applied first. */
static bool is_at_work(const struct lane *l)
{
    return l->is_leased || (l->inbox.count > 0 && !l->is_halted);
}

bool shelf_lost(struct engine *g, const char *topic, int32_t partition)
{
    struct lane *l = source_lane(g->source, topic, partition);

    if (!l || !(l->is_assigned || l->is_offered) || l->is_gone) {
        return true;
    }
    if (is_at_work(l)) {
        return false;
    }
    source_shelve(g->source, l);
    l->needs_claim = l->is_assigned;
    l->is_gone = true;
    l->claim_at = clock_usec() + GONE_USEC;
    return true;
}

void shelf_taken(struct engine *g, const struct lane *l)
{
    if (l->n_shelved > 0 && ++g->claim.n_told <= TOLD_MOST) {
        log_line(LOG_INFO, "lane goes on", "lane=%s/%d position=%" PRId64,
                 l->topic, l->partition, l->position);
    }
}

bool shelf_is_any_read(struct engine *g)
{
    struct lane *l = source_lanes(g->source);

    while (l && (!l->is_assigned || l->is_shelved || l->needs_claim)) {
        l = l->next;
    }
    return l != NULL;
}

void shelf_end(struct engine *g)
{
    struct claim *c = &g->claim;

    if (c->n_untold > 0) {
        log_line(LOG_WARN,
                 "more lanes cannot be claimed, and wait by themselves",
                 "lanes=%u last=%s", c->n_untold, log_quote(c->why));
    }
    c->n_told = c->n_untold = 0;
}

/* See left_out.h. */
#include "flow/claim/left_out.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/worker/worker.h"

enum {
    FLOOR_USEC = 500000,
    CAP_USEC = 2000000,
    GONE_USEC = 5000000,
    SLOW_USEC = 2000000,
    OVERDUE_USEC = 10000000,
    LOGGED_MOST = 10 /* lines of one claim */
};

/* Nothing is to be had of a partition without a leader; once it has one, nothing
 * is to be waited for. */
static bool is_due(const struct lane *l, usec now)
{
    const struct partition *p = l->kafka;

    return !p->has_no_leader &&
           (now >= l->left_out.retry_at || p->led_at > l->left_out.at);
}

bool left_out_wants_claim(const struct lane *l, usec now)
{
    return l->state == LANE_OFFERED || l->state == LANE_STALE ||
           ((l->state == LANE_LEFT_OUT || l->state == LANE_GONE) &&
            is_due(l, now));
}

static bool has_due(const struct lanes *ls, enum lane_state s, usec now)
{
    const struct lane *l = lanes_in(ls, s);

    while (l && !is_due(l, now)) {
        l = lanes_next(l);
    }
    return l != NULL;
}

bool left_out_any_wants_claim(const struct lanes *ls, usec now)
{
    return ls->in[LANE_OFFERED].n > 0 || ls->in[LANE_STALE].n > 0 ||
           has_due(ls, LANE_LEFT_OUT, now) || has_due(ls, LANE_GONE, now);
}

bool left_out_wants_look(const struct lane *l)
{
    enum lane_state s = l->state == LANE_CLAIMING ? l->next : l->state;

    return s == LANE_GONE || l->left_out.has_no_answer || l->left_out.n == 0;
}

bool left_out_is_turn_of_slow(const struct lanes *ls, usec now)
{
    bool has_quick = false, is_overdue = false;

    for (const struct lane *l = ls->first; l; l = l->after) {
        if (left_out_wants_claim(l, now)) {
            has_quick |= !l->left_out.is_slow;
            is_overdue |= l->left_out.is_slow &&
                          now >= l->left_out.retry_at + OVERDUE_USEC;
        }
    }
    return is_overdue || !has_quick;
}

/* Thousands may have one reason. */
static void tell(struct left_out *o, struct lane *l, const struct err *e)
{
    l->is_logged = true; /* for waits.c */
    if (!log_once(&l->logged, e->text)) {
        return;
    }
    if (++o->n_logged > LOGGED_MOST) {
        o->n_unlogged++;
        return;
    }
    log_line(LOG_WARN, "lane cannot be claimed, and waits by itself",
             "lane=%s/%d class=%s sqlstate=%s error=%s", l->topic, l->partition,
             err_class_name(e->class), e->sqlstate[0] ? e->sqlstate : "-",
             log_quote(e->text));
}

static void leave_out(struct worker *w, struct lane *l, enum lane_state to,
                      usec delay)
{
    source_leave_out(w->source, l->kafka);
    lane_move(l, to);
    l->left_out.at = worker_now(w);
    l->left_out.retry_at = l->left_out.at + delay;
}

void left_out_put(struct left_out *o, struct worker *w, struct lane *l,
                  const struct err *e, usec took)
{
    usec delay =
        backoff_delay(++l->left_out.n, FLOOR_USEC, CAP_USEC, worker_random(w));

    w->show.counts->errors[e->class]++;
    l->left_out.has_no_answer =
        !e->sqlstate[0] && e->class != ERR_SCHEMA; /* by Kafka */
    l->left_out.is_slow = took > SLOW_USEC;
    leave_out(w, l, LANE_LEFT_OUT, l->left_out.is_slow ? 2 * took : delay);
    l->left_out.since = l->left_out.since ? l->left_out.since : l->left_out.at;
    snprintf(l->left_out.why, sizeof(l->left_out.why), "%.239s", e->text);
    show_unclaimed(&w->show, l);
    tell(o, l, e);
    snprintf(o->why, sizeof(o->why), "%.239s", e->text);
}

/* Nobody tells what a partition without a leader holds: kafka/source_topics.c sees when
 * it has one. */
bool left_out_gone(struct worker *w, struct lane *l, bool is_gone)
{
    if (is_gone || l->kafka->has_no_leader) {
        leave_out(w, l, is_gone ? LANE_GONE : LANE_LEFT_OUT, GONE_USEC);
        return true;
    }
    return false;
}

/* What came of it before it went is applied first; a claim ends by itself. */
static bool is_at_work(const struct lane *l)
{
    return l->state == LANE_CLAIMING || l->state == LANE_LEASED ||
           (l->kafka->inbox.count > 0 && lane_is_ours(l) && !lane_is_halted(l));
}

bool left_out_lost(struct worker *w, const char *topic, int32_t partition)
{
    struct lane *l = lanes_find(w->source, topic, partition);

    if (!l || l->state == LANE_REVOKED || l->state == LANE_GONE) {
        return true;
    }
    if (is_at_work(l)) {
        return false;
    }
    leave_out(w, l, LANE_GONE, GONE_USEC);
    return true;
}

void left_out_taken(struct left_out *o, const struct lane *l)
{
    if (l->left_out.n > 0 && ++o->n_logged <= LOGGED_MOST) {
        log_line(LOG_INFO, "lane goes on", "lane=%s/%d position=%" PRId64,
                 l->topic, l->partition, l->position);
    }
}

void left_out_end(struct left_out *o)
{
    if (o->n_unlogged > 0) {
        log_line(LOG_WARN,
                 "more lanes cannot be claimed, and wait by themselves",
                 "lanes=%u last=%s", o->n_unlogged, log_quote(o->why));
    }
    o->n_logged = o->n_unlogged = 0;
}

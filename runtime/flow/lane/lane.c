/* See lane.h. */
#include "flow/lane/lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define BIT(state) (1U << LANE_##state)
#define READY_BITS (BIT(READY) | BIT(NARROW) | BIT(SEARCHED) | BIT(WAITING))
/* The group may give or take any lane at any time. */
#define GROUP_BITS (BIT(REVOKED) | BIT(OFFERED))
#define FREE_BITS  (BIT(WANTS_KEYS) | BIT(IDLE) | READY_BITS)

static const uint32_t moves[] = {
    [LANE_REVOKED] = GROUP_BITS,
    [LANE_OFFERED] = GROUP_BITS | BIT(CLAIMING) | BIT(LEFT_OUT) | BIT(GONE),
    [LANE_STALE] = GROUP_BITS | BIT(CLAIMING) | BIT(LEFT_OUT) | BIT(GONE),
    [LANE_CLAIMING] =
        GROUP_BITS | BIT(STALE) | BIT(LEFT_OUT) | BIT(GONE) | BIT(WANTS_KEYS),
    [LANE_LEFT_OUT] = GROUP_BITS | BIT(CLAIMING) | BIT(LEFT_OUT) | BIT(GONE),
    [LANE_GONE] = GROUP_BITS | BIT(CLAIMING) | BIT(LEFT_OUT) | BIT(GONE),
    [LANE_WANTS_KEYS] = GROUP_BITS | BIT(STALE) | BIT(GONE) | BIT(IDLE) |
                        READY_BITS | BIT(HALTED) | BIT(PAUSED),
    [LANE_IDLE] = GROUP_BITS | BIT(STALE) | BIT(GONE) | READY_BITS |
                  BIT(LEASED) | BIT(HALTED),
    [LANE_READY] =
        GROUP_BITS | BIT(STALE) | READY_BITS | BIT(LEASED) | BIT(HALTED),
    [LANE_NARROW] =
        GROUP_BITS | BIT(STALE) | READY_BITS | BIT(LEASED) | BIT(HALTED),
    [LANE_SEARCHED] =
        GROUP_BITS | BIT(STALE) | READY_BITS | BIT(LEASED) | BIT(HALTED),
    [LANE_WAITING] =
        GROUP_BITS | BIT(STALE) | READY_BITS | BIT(LEASED) | BIT(HALTED),
    [LANE_LEASED] =
        GROUP_BITS | BIT(STALE) | FREE_BITS | BIT(HALTED) | BIT(PAUSED),
    [LANE_PAUSED] =
        GROUP_BITS | BIT(GONE) | FREE_BITS | BIT(LEASED) | BIT(HALTED),
    [LANE_HALTED] = GROUP_BITS | BIT(STALE) | BIT(GONE) | BIT(LEASED),
};
_Static_assert(sizeof(moves) / sizeof(*moves) == LANE_STATES, "each has moves");

static bool is_one_of(enum lane_state s, uint32_t bits)
{
    return (bits & (1U << s)) != 0;
}

void lane_move(struct lane *l, enum lane_state to)
{
    struct lanes *ls = l->owner;

    must(is_one_of(to, moves[l->state]));
    list_remove(&ls->in[l->state], &l->link);
    l->state = to;
    list_append(&ls->in[to], &l->link);
}

/* ---- all of them ---- */

void lanes_init(struct lanes *ls, uint32_t max_failed, uint64_t held_bytes)
{
    memset(ls, 0, sizeof(*ls));
    for (uint32_t s = 0; s < LANE_STATES; s++) {
        list_init(&ls->in[s]);
    }
    list_init(&ls->wanted);
    list_init(&ls->held_up);
    ls->max_failed = max_failed;
    ls->held.most = held_bytes;
}

void lanes_close(struct lanes *ls)
{
    while (ls->first) {
        struct lane *l = ls->first;

        ls->first = l->after;
        held_keys_close(&l->keys);
        guard_close(&l->guard);
        free(l);
    }
}

static struct lane *make(struct lanes *ls, struct partition *p)
{
    struct lane *l = mem_zero(1, sizeof(*l));

    l->owner = ls;
    l->kafka = p;
    l->topic = p->topic;
    l->partition = p->number;
    l->topic_index = p->topic_index;
    l->position = -1;
    held_keys_init(&l->keys, &ls->held);
    guard_init(&l->guard, ls->max_failed);
    list_append(&ls->in[LANE_REVOKED], &l->link);
    p->lane = l;
    return l;
}

/* A lane that is offered while a batch has it stands where it stood. */
static void offer(struct lane *l)
{
    l->n_offers = l->kafka->n_offers;
    memset(&l->left_out, 0, sizeof(l->left_out));
    if (l->state != LANE_LEASED) {
        l->position = -1;
    }
    lane_become(l, LANE_OFFERED);
}

static void take(struct lane *l)
{
    const struct partition *p = l->kafka;

    if (p->is_offered && l->n_offers != p->n_offers) {
        offer(l);
    } else if (!p->is_offered && !p->is_assigned && l->state != LANE_REVOKED) {
        lane_become(l, LANE_REVOKED);
    }
}

void lanes_take(struct lanes *ls, struct partition *first)
{
    struct lane **at = &ls->first;

    for (struct partition *p = first; p; p = p->next) {
        struct lane *l = p->lane ? p->lane : make(ls, p);

        *at = l;
        at = &l->after;
        take(l);
    }
    *at = NULL;
}

struct lane *lanes_in(const struct lanes *ls, enum lane_state s)
{
    struct list_link *first = list_first(&ls->in[s]);

    return first ? list_item(first, struct lane, link) : NULL;
}

struct lane *lanes_next(const struct lane *l)
{
    const struct list *list = &l->owner->in[l->state];

    return l->link.next == &list->head
               ? NULL
               : list_item(l->link.next, struct lane, link);
}

struct lane *lanes_find(struct source *s, const char *topic, int32_t partition)
{
    struct partition *p = source_partition(s, topic, partition);

    return p ? p->lane : NULL;
}

static void count(struct lane *l)
{
    l->waiting.n = l->kafka->inbox.count;
    l->waiting.bytes = l->kafka->inbox.bytes;
    l->waiting.since = l->kafka->waiting_since;
}

void lanes_count(struct lanes *ls)
{
    for (uint32_t s = LANE_READY; s <= LANE_WAITING; s++) {
        for (struct lane *l = lanes_in(ls, s); l; l = lanes_next(l)) {
            count(l);
        }
    }
}

bool lanes_has_claimed(const struct lanes *ls)
{
    for (struct lane *l = ls->first; l; l = l->after) {
        if (lane_is_ours(l)) {
            return true;
        }
    }
    return false;
}

/* ---- one of them ---- */

int lane_compare(const struct lane *a, const struct lane *b)
{
    int order = a->topic == b->topic ? 0 : strcmp(a->topic, b->topic);

    return order
               ? order
               : (a->partition > b->partition) - (a->partition < b->partition);
}

bool lane_is_ours(const struct lane *l)
{
    return l->state == LANE_LEASED ? l->next >= LANE_IDLE
                                   : l->state >= LANE_WANTS_KEYS;
}

bool lane_is_halted(const struct lane *l)
{
    enum lane_state s = l->state == LANE_LEASED || l->state == LANE_WANTS_KEYS
                            ? l->next
                            : l->state;

    return s == LANE_HALTED || s == LANE_PAUSED;
}

bool lane_is_left_out(const struct lane *l)
{
    return l->state == LANE_LEFT_OUT ||
           (l->state == LANE_CLAIMING && l->next == LANE_LEFT_OUT);
}

static void revoke(struct lane *l)
{
    held_keys_forget(&l->keys); /* asked for anew when it comes back */
    lane_want_retry(l, false);
    lane_move(l, LANE_REVOKED);
}

static void halt(struct lane *l)
{
    if (l->keys.are_known) {
        lane_move(l, LANE_HALTED);
        return;
    }
    l->next = LANE_HALTED; /* its letters may be tried again all the same */
    if (l->state != LANE_WANTS_KEYS) {
        lane_move(l, LANE_WANTS_KEYS);
    }
}

static void enter(struct lane *l, enum lane_state to)
{
    if (to == LANE_REVOKED) {
        revoke(l);
    } else if (to == LANE_HALTED) {
        halt(l);
    } else {
        lane_move(l, to);
    }
}

static uint32_t rank(enum lane_state s)
{
    static const uint32_t ranks[LANE_STATES] = {[LANE_PAUSED] = 1,
                                                [LANE_HALTED] = 2,
                                                [LANE_STALE] = 3,
                                                [LANE_REVOKED] = 4,
                                                [LANE_OFFERED] = 4};

    return ranks[s];
}

void lane_become(struct lane *l, enum lane_state to)
{
    must(rank(to) > 0);
    if (l->state != LANE_LEASED) {
        if (l->state != to) {
            enter(l, to);
        }
    } else if (rank(to) >= rank(l->next)) {
        l->next = to;
    }
}

static enum lane_state place_of(const struct lane *l)
{
    return !l->keys.are_known                ? LANE_WANTS_KEYS
           : l->waiting.n == 0               ? LANE_IDLE
           : l->wait.retry_at                ? LANE_WAITING
           : l->search.left || l->search.cap ? LANE_SEARCHED
           : l->most                         ? LANE_NARROW
                                             : LANE_READY;
}

void lane_place(struct lane *l)
{
    enum lane_state to;

    count(l);
    to = place_of(l);
    l->next = LANE_IDLE;
    if (to != l->state) {
        lane_move(l, to);
    }
}

void lane_place_again(struct lane *l)
{
    if (l->state >= LANE_IDLE && l->state <= LANE_WAITING) {
        lane_place(l);
    }
}

void lane_lease(struct lane *l)
{
    l->next = lane_is_halted(l) ? l->state : LANE_IDLE;
    lane_move(l, LANE_LEASED);
}

void lane_end_lease(struct lane *l)
{
    must(l->state == LANE_LEASED);
    if (rank(l->next) > 0) {
        enter(l, l->next);
    } else {
        lane_place(l);
    }
}

void lane_claim(struct lane *l)
{
    l->next = l->state;
    lane_move(l, LANE_CLAIMING);
}

void lane_unclaim(struct lane *l)
{
    must(l->state == LANE_CLAIMING);
    lane_move(l, l->next);
}

void lane_claimed(struct lane *l)
{
    memset(&l->left_out, 0, sizeof(l->left_out));
    l->search.left = l->search.probe = l->search.cap = l->search.run = 0;
    l->keys.are_known = l->misfits = l->letters.has_halted = false;
    l->next = LANE_IDLE;
    lane_move(l, LANE_WANTS_KEYS);
}

void lane_has_keys(struct lane *l)
{
    l->keys.are_known = true;
    if (l->next == LANE_HALTED) {
        lane_move(l, LANE_HALTED);
    } else {
        lane_place(l);
    }
}

void lane_hold_up(struct lane *l, usec since)
{
    l->wait.since = l->wait.since ? l->wait.since : since;
    if (!l->wait.link.prev) {
        list_append(&l->owner->held_up, &l->wait.link);
    }
}

void lane_hide_wait(struct lane *l)
{
    if (l->wait.link.prev) {
        list_remove(&l->owner->held_up, &l->wait.link);
    }
    l->wait.since = 0;
    l->wait.is_shown = l->wait.is_logged = l->wait.is_slow = false;
}

void lane_waits_no_more(struct lane *l)
{
    usec retry_at = l->wait.retry_at;

    lane_hide_wait(l);
    memset(&l->wait, 0, sizeof(l->wait));
    l->wait.retry_at = retry_at;
}

void lane_renew(struct lane *l)
{
    held_keys_forget(&l->keys);
    lane_waits_no_more(l);
    l->letters.n = 0;
    l->search.has_found = false;
    if (l->was_halted) {
        l->was_halted = false;
        l->guard.n = l->guard.first = 0;
    }
}

void lane_want_retry(struct lane *l, bool is_wanted)
{
    struct list_link *link = &l->letters.wanted;
    bool was_wanted = link->prev != NULL;

    if (is_wanted && !was_wanted) {
        list_append(&l->owner->wanted, link);
    } else if (!is_wanted && was_wanted) {
        list_remove(&l->owner->wanted, link);
    }
}

/* See kind.h: what each kind of batch does, as one table. */
#include "flow/letters/letters.h"
#include "flow/rows/headers.h"
#include "flow/run/committed.h"
#include "flow/run/conflict.h"
#include "flow/run/isolate.h"
#include "flow/run/kind.h"
#include "flow/run/letters_retry.h"
#include "flow/run/run.h"

/* ---- records ---- */

static void move(struct batch *b, struct lease *l)
{
    const struct position_step step = {.topic = l->lane->topic,
                                       .partition = l->lane->partition,
                                       .epoch = l->epoch,
                                       .from = l->start,
                                       .to = l->end,
                                       .anchor = batch_anchor(b, l),
                                       .ends_rewound = l->lane->ends_rewound};

    position_move(b->attempt.conn, b->generation->plan, &step);
}

/* The transaction is atomic: any lane that it would have moved tells. A row
 * whose epoch is not above ours is of an older database. */
static enum commit_state state_of_records(const struct batch *b,
                                          const struct position *at)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        const struct lease *l = &b->input.leases[i];
        bool is_ours = at[i].found && at[i].epoch > l->epoch;

        if (l->end > l->start && is_ours && l->lane->kafka->is_assigned) {
            return at[i].next_offset == l->end     ? COMMIT_DONE
                   : at[i].next_offset == l->start ? COMMIT_UNDONE
                                                   : COMMIT_MOVED;
        }
    }
    return COMMIT_MOVED;
}

static struct next resolved_records(struct batch *b, const struct position *at,
                                    enum commit_state state)
{
    bool is_mismatched = false;

    (void)at;
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lane *lane = b->input.leases[i].lane;

        if (state == COMMIT_MOVED) {
            lane_become(lane, LANE_STALE);
        }
        is_mismatched |= lane->next == LANE_STALE;
    }
    return state == COMMIT_DONE                       ? next_is(NEXT_COMMITTED)
           : state == COMMIT_UNDONE && !is_mismatched ? next_again(0)
                                                      : next_is(NEXT_RELEASE);
}

const struct batch_kind batch_of_records = {
    .header_at = source_header_at,
    .is_cached = true,
    .holds_lanes = true,
    .most_lost = 8,
    .place = move,
    .committed = committed_records,
    .state = state_of_records,
    .resolved = resolved_records,
    .shrink = isolate_shrink_lanes,
    .search = isolate_search_lanes,
    .part = conflict_part_lanes,
};

/* ---- dead letters ---- */

static void fence(struct batch *b, struct lease *l)
{
    position_fence(b->attempt.conn, b->generation->plan, l->lane->topic,
                   l->lane->partition, l->epoch, l->start);
}

/* No position tells. */
static enum commit_state state_of_letters(const struct batch *b,
                                          const struct position *at)
{
    (void)b;
    (void)at;
    return COMMIT_UNDONE;
}

/* Whether the letters are gone is asked for with the lane's held keys, behind
 * the claim that waited for the COMMIT. */
static struct next resolved_letters(struct batch *b, const struct position *at,
                                    enum commit_state state)
{
    struct lane *lane = b->input.leases[0].lane;

    (void)state;
    lane->keys.are_known = false;
    if (!at->found || at->next_offset != lane->position) {
        lane_become(lane, LANE_STALE);
    }
    return next_is(NEXT_RELEASE);
}

/* The next retry takes half of them, down to one. */
static void halve(struct batch *b)
{
    struct lane *lane = b->input.leases[0].lane;

    lane->letters.retry_most =
        b->input.events.n > 1 ? b->input.events.n / 2 : 1;
}

static void shrink_letters(struct batch *b, bool is_late)
{
    (void)is_late;
    halve(b);
}

static struct next part_letters(struct batch *b, const struct err *e,
                                int64_t delay_ms)
{
    (void)delay_ms;
    conflict_note_letters(b, e);
    halve(b);
    return next_is(NEXT_RELEASE);
}

/* Letters that others keep from being applied are read anew soon. */
const struct batch_kind batch_of_letters = {
    .header_at = headers_at,
    .most_lost = 2,
    .place = fence,
    .end = letters_end,
    .committed = letters_retry_committed,
    .state = state_of_letters,
    .resolved = resolved_letters,
    .shrink = shrink_letters,
    .search = halve,
    .part = part_letters,
};

/* See resolve.h. */
#include "flow/run/resolve.h"

#include <string.h>

#include "base/log.h"
#include "flow/run/kind.h"

static const usec ASK_AGAIN_USEC = 500000;

static const char *const commit_words[] = {[COMMIT_DONE] = "committed",
                                           [COMMIT_UNDONE] = "not_committed",
                                           [COMMIT_MOVED] = "moved"};

/* The transaction is atomic, so any lane that it moves tells of it, and fences
 * it. All are claimed at first, which waits behind it; when the database refuses
 * that, since somebody else locks the row of one, they are asked in turn. */
static uint32_t lane_in_turn(const struct batch *b)
{
    uint32_t i = b->resolve.n_asked % b->input.n_leases;

    for (uint32_t n = 0;
         n < b->input.n_leases && !batch_moves(b, &b->input.leases[i]); n++) {
        i = (i + 1) % b->input.n_leases;
    }
    return i;
}

/* The positions that are asked for; [n]: how many. */
static struct position *asked(struct batch *b, uint32_t *n)
{
    bool is_in_turn = b->resolve.n_asked > 0;

    *n = is_in_turn ? 1 : b->input.n_leases;
    return b->resolve.positions + (is_in_turn ? lane_in_turn(b) : 0);
}

static void name_lanes(struct batch *b)
{
    uint32_t n = b->input.n_leases;

    if (!b->resolve.positions) {
        b->resolve.positions =
            arena_alloc(&b->memory.arena, n * sizeof(*b->resolve.positions));
    }
    memset(b->resolve.positions, 0, n * sizeof(*b->resolve.positions));
    for (uint32_t i = 0; i < n; i++) {
        b->resolve.positions[i].topic = b->input.leases[i].lane->topic;
        b->resolve.positions[i].partition = b->input.leases[i].lane->partition;
    }
}

struct next resolve_ask(struct batch *b)
{
    struct position *at;
    uint32_t n;

    name_lanes(b);
    at = asked(b, &n);
    pgconn_add_sql(b->attempt.conn, "BEGIN");
    position_claim(b->attempt.conn, b->generation->plan, b->run->worker->owner,
                   at, n);
    pgconn_add_commit(b->attempt.conn);
    return next_ask(BATCH_ASKING);
}

/* Whatever the reason: it is asked again, and not at once. */
static struct next still_unknown(struct batch *b, const struct err *e)
{
    database_outcome(&b->run->worker->database, &b->attempt.ticket, e,
                     "commit");
    if (!database_is_away(e)) {
        b->tries.retry_at = worker_now(b->run->worker) + ASK_AGAIN_USEC;
        if (++b->resolve.n_asked == 1) {
            log_line(LOG_WARN,
                     "the outcome of a COMMIT is not known yet; asking again",
                     "lane=%s/%d lanes=%u error=%s",
                     b->input.leases[0].lane->topic,
                     b->input.leases[0].lane->partition, b->input.n_leases,
                     log_quote(e->text));
        }
    }
    return next_is(NEXT_RESOLVE);
}

/* The claim that asked has raised the epochs of the lanes that are ours; what it
 * found of others is for another claim to see. Where the epoch rose by more than
 * one, a person or another worker has been there: which keys are held may have
 * changed with the position as it was, so that lane is claimed again. (Also, for
 * nothing, when an answer to our own question was lost.) */
static void take_epochs(struct batch *b, const struct position *at)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (at[i].found && at[i].epoch > l->epoch) {
            if (at[i].epoch > l->epoch + 1) {
                lane_become(l->lane, LANE_STALE);
            }
            l->epoch = l->lane->epoch = at[i].epoch;
        }
        l->lane->claim = ++b->run->worker->lanes.n_claims;
    }
}

static struct next resolved(struct batch *b, const struct position *at)
{
    enum commit_state state = b->kind->state(b, at);

    database_answered(&b->run->worker->database, &b->attempt.ticket);
    take_epochs(b, at);
    log_line(LOG_INFO, "an unknown COMMIT is known", "outcome=%s events=%u",
             commit_words[state], batch_moved(b));
    return b->kind->resolved(b, at, state);
}

struct next resolve_answered(struct batch *b, const struct pgreply *reply)
{
    struct position *at;
    uint32_t n;

    if (!reply->ok) {
        return still_unknown(b, &reply->error);
    }
    at = asked(b, &n);
    position_claimed(reply, 1, at, n);
    return resolved(b, b->resolve.positions);
}

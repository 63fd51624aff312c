/* See transact.h. */
#include "flow/run/transact.h"

#include "flow/run/attempt.h"
#include "flow/run/committed.h"
#include "flow/run/compare.h"
#include "flow/run/outcome.h"
#include "flow/run/resolve.h"
#include "model/deadlines.h"

/* A reply that takes longer means that the connection is gone in all but
 * name; above statement_timeout, so that the server may say so first. COMMIT
 * is among them: statement_timeout does not end its wait for a standby. */
static usec reply_deadline(const struct batch *b)
{
    bool is_catalogue =
        b->state == BATCH_COMPARING || b->state == BATCH_DOUBTING;
    uint64_t ms = b->generation->plan->database.timeouts.statement_ms;

    return is_catalogue ? PG_ANSWER_USEC : ms * 1000 + PG_ANSWER_USEC;
}

static struct next compared(struct batch *b, const struct pgreply *reply)
{
    struct err e;

    if (!reply->ok) {
        return outcome_failed(b, reply);
    }
    return compare_answered(b, reply, &e) ? attempt_begin(b)
                                          : outcome_unfit(b, &e);
}

static struct next doubted(struct batch *b, const struct pgreply *reply)
{
    return reply->ok ? outcome_undoubted(b) : outcome_failed(b, reply);
}

static void on_answer(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    static struct next (*const answered[])(struct batch *,
                                           const struct pgreply *) = {
        [BATCH_COMPARING] = compared,     [BATCH_LOADING] = attempt_loaded,
        [BATCH_OPENING] = attempt_opened, [BATCH_WRITING] = attempt_written,
        [BATCH_DOUBTING] = doubted,       [BATCH_ASKING] = resolve_answered};
    struct batch *b = arg;

    (void)c;
    transact_go(b, answered[b->state](b, reply));
}

/* The answer takes a while: time to collect garbage behind the last question. */
static void ask(struct batch *b, enum batch_state state)
{
    run_move(b, state);
    pgconn_flush(b->attempt.conn, reply_deadline(b), on_answer, b);
    if (state == BATCH_WRITING) {
        vm_collect(b->generation->vm);
    }
}

static void again(struct batch *b, usec delay)
{
    database_release(&b->run->worker->database, &b->attempt.conn);
    b->run->worker->show.counts->counters[COUNT_BATCH_RETRIES]++;
    b->tries.retry_at = worker_now(b->run->worker) + delay;
    run_move(b, BATCH_WAITING);
}

void transact_go(struct batch *b, struct next n)
{
    switch (n.kind) {
    case NEXT_ASK:
        ask(b, n.state);
        break;
    case NEXT_COMMITTED:
        batch_committed(b, n.reply);
        break;
    case NEXT_AGAIN:
        again(b, n.delay);
        break;
    case NEXT_RESOLVE:
        database_release(&b->run->worker->database, &b->attempt.conn);
        run_move(b, BATCH_RESOLVING);
        break;
    default:
        must(n.kind == NEXT_RELEASE);
        run_release(b);
    }
}

void transact_start(struct batch *b, struct pgconn *c)
{
    b->attempt.conn = c;
    b->attempt.since = worker_now(b->run->worker); /* for held_up.c */
    run_move(b, BATCH_COMPARING);
    transact_go(b, compare_begin(b) ? attempt_begin(b)
                                    : next_ask(BATCH_COMPARING));
}

void transact_resolve(struct batch *b, struct pgconn *c)
{
    b->attempt.conn = c;
    transact_go(b, resolve_ask(b));
}

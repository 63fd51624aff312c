/*
 * One connection, see conn.h. Two things can be due at any time: a flush (its
 * fn is set) and a deadline. Whatever goes wrong ends in lose(), which answers
 * the flush, or tells on_state. Callbacks run only from the loop and may free
 * the connection: each way in counts in depth until leave(), which frees it.
 */
#include "postgres/wire/conn.h"

#include <libpq-fe.h>
#include <stdlib.h>

#include "base/arena.h"
#include "postgres/wire/dial.h"
#include "postgres/wire/flush.h"
#include "postgres/wire/hosts.h"
#include "postgres/wire/prepared.h"
#include "postgres/wire/session.h"

struct pgconn {
    /* -- set at open */
    struct loop *loop;
    struct pgtarget *target;
    pgconn_state_fn on_state;
    void *arg;
    struct loop_timer *deadline; /* owned */
    struct loop_timer *kick;     /* owned: what must not happen in a call */

    /* -- the connection */
    PGconn *pg;         /* owned; NULL when DEAD */
    struct loop_io *io; /* owned; NULL when there is no socket */
    enum pgconn_state state;
    bool is_broken;      /* libpq refused to send: lose it at the next turn */
    bool in_transaction; /* as of the last answered flush */
    struct err failed;   /* why hosts could not be connected to */
    struct pgturns turns;
    struct err error; /* why it is DEAD */
    struct flush flush;
    struct prepared prepared;
    int depth;      /* of calls from the loop */
    bool is_doomed; /* freed by its user inside a callback */
};

/* ---- states ---- */

static void set_state(struct pgconn *c, enum pgconn_state state)
{
    static const uint8_t from[] = {
        [PGCONN_CONNECTING] = 0,
        [PGCONN_SETTING_UP] = 1 << PGCONN_CONNECTING,
        [PGCONN_IDLE] = 1 << PGCONN_SETTING_UP | 1 << PGCONN_BUSY,
        [PGCONN_BUSY] = 1 << PGCONN_IDLE,
        [PGCONN_DEAD] = 1 << PGCONN_CONNECTING | 1 << PGCONN_SETTING_UP |
                        1 << PGCONN_IDLE | 1 << PGCONN_BUSY,
    };
    must(from[state] & 1 << c->state);
    c->state = state;
}

enum pgconn_state pgconn_state(const struct pgconn *c)
{
    return c->state;
}

const struct err *pgconn_error(const struct pgconn *c)
{
    return &c->error;
}

bool pgconn_in_transaction(const struct pgconn *c)
{
    return c->in_transaction;
}

static void hang_up(struct pgconn *c)
{
    loop_timer_stop(c->deadline);
    if (c->io) {
        loop_io_free(c->io);
        c->io = NULL;
    }
    PQfinish(c->pg);
    c->pg = NULL;
}

/* Closes the socket at once, so that the server lets go of its locks. */
static void disconnect(struct pgconn *c)
{
    hang_up(c);
    c->in_transaction = false;
    set_state(c, PGCONN_DEAD);
}

static void destroy(struct pgconn *c)
{
    if (c->state != PGCONN_DEAD) {
        disconnect(c);
    }
    loop_timer_free(c->deadline);
    loop_timer_free(c->kick);
    flush_close(&c->flush);
    prepared_close(&c->prepared);
    free(c);
}

static void leave(struct pgconn *c)
{
    if (--c->depth == 0 && c->is_doomed) {
        destroy(c);
    }
}

void pgconn_free(struct pgconn *c)
{
    if (!c) {
        return;
    }
    c->is_doomed = true;
    if (c->depth == 0) {
        destroy(c);
    }
}

/* ---- the end of a flush ---- */

/* Answers the flush. The callback may flush anew or free the connection, so
 * nothing of [c] is touched behind it. */
static void finish(struct pgconn *c)
{
    struct flush f = c->flush;
    flush_init(&c->flush);
    prepared_learn(&c->prepared, &f);
    if (!c->is_doomed) {
        struct pgreply reply;
        flush_reply(&f, &reply);
        f.fn(c, &reply, f.arg);
    }
    flush_close(&f);
}

/* The connection is gone: answers the flush, or tells its user. */
static void lose(struct pgconn *c, const struct err *why)
{
    c->error = *why;
    if (c->state == PGCONN_SETTING_UP) {
        hosts_next(c->target, &c->turns);
    }
    if (c->state != PGCONN_DEAD) {
        disconnect(c);
    }
    if (c->flush.fn) {
        flush_lost(&c->flush, why);
        finish(c);
    } else if (!c->is_doomed) {
        c->on_state(c, c->arg);
    }
}

/* The server's own last words say more than libpq's "closed unexpectedly". */
static void lose_broken(struct pgconn *c)
{
    struct err why;
    if (c->flush.is_fatal) {
        why = c->flush.error;
        why.class = ERR_CONNECTION;
        err_wrap(&why, "connection to PostgreSQL lost");
    } else {
        dial_lost(c->pg, &why);
    }
    lose(c, &why);
}

/* Every answer up to the Sync is there. */
static void complete(struct pgconn *c)
{
    struct flush *f = &c->flush;
    PGTransactionStatusType status = PQtransactionStatus(c->pg);
    loop_timer_stop(c->deadline);
    c->in_transaction = status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
    if (flush_is_end(f)) {
        c->error = f->error;
        disconnect(c);
    } else if (c->state == PGCONN_BUSY) {
        set_state(c, PGCONN_IDLE);
    }
    finish(c);
}

/* ---- reading ---- */

/* False: the connection is of no use any more. */
static bool take_answer(struct pgconn *c, PGresult *r)
{
    if (!r) {
        return flush_next(&c->flush); /* or the Sync's turn: it is not there */
    }
    return flush_take(&c->flush, c->pg, r);
}

/* Takes what is there. True: the Sync was answered. */
static bool read_answers(struct pgconn *c)
{
    while (!PQisBusy(c->pg)) {
        PGresult *r = PQgetResult(c->pg);
        if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            return true;
        }
        if (!take_answer(c, r)) {
            c->is_broken = true;
            return false;
        }
    }
    /* libpq starts each answer without an error text. One beside an answer
     * that is not there means that it had no memory for it: it has taken it
     * off the wire and would wait for ever. */
    c->is_broken |= PQerrorMessage(c->pg)[0] != '\0';
    return false;
}

/* libpq refused; what follows from it waits for the loop. */
static void break_off(struct pgconn *c)
{
    c->is_broken = true;
    loop_timer_set(c->kick, 0);
}

/* libpq wants to be read while it writes, or both sides may wait for ever. */
static void write_out(struct pgconn *c)
{
    int left = PQflush(c->pg);
    if (left < 0) {
        break_off(c);
    }
    loop_io_want(c->io, true, left > 0);
}

static void exchange(struct pgconn *c, bool readable)
{
    /* What came before may still be read. */
    c->is_broken |= readable && !PQconsumeInput(c->pg);
    if (readable && flush_is_over(&c->flush, &c->error)) {
        lose(c, &c->error);
    } else if (c->flush.fn && read_answers(c)) {
        complete(c);
    } else if (!c->flush.fn) {
        PQisBusy(c->pg); /* parses notices and changed parameters */
    }
    if (c->state == PGCONN_DEAD || c->is_doomed) {
        return;
    }
    if (c->is_broken) {
        lose_broken(c);
    } else {
        write_out(c);
    }
}

/* ---- queueing ---- */

/* On one that is gone statements are only counted: the flush will say so. */
static bool can_send(const struct pgconn *c)
{
    must(!c->flush.fn && c->state != PGCONN_CONNECTING);
    return c->state != PGCONN_DEAD && !c->is_broken;
}

void pgconn_add_sql(struct pgconn *c, const char *sql)
{
    int statement = flush_add(&c->flush);
    if (can_send(c) &&
        PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 1)) {
        flush_expect(&c->flush, statement, FLUSH_RUNS, 0);
    } else {
        break_off(c);
    }
}

void pgconn_add_commit(struct pgconn *c)
{
    c->flush.commit = c->flush.n_results;
    pgconn_add_sql(c, "COMMIT");
}

struct params *pgconn_params(struct pgconn *c)
{
    params_clear(&c->prepared.params);
    return &c->prepared.params;
}

int pgconn_add_series(struct pgconn *c, const char *sql, uint32_t series,
                      struct params *params)
{
    struct prepared_use use = {sql, params ? params : pgconn_params(c), series,
                               c->target->n_sweeps};
    int statement = flush_add(&c->flush);
    if (can_send(c) && !prepared_send(&c->prepared, c->pg, &use, &c->flush)) {
        break_off(c);
    }
    return statement;
}

void pgconn_limit(struct pgconn *c, uint64_t bytes)
{
    c->flush.most = bytes;
}

void pgconn_flush(struct pgconn *c, usec deadline, pgconn_fn fn, void *arg)
{
    bool can = can_send(c);
    c->flush.fn = fn;
    c->flush.arg = arg;
    c->flush.deadline = deadline;
    if (!can || !PQpipelineSync(c->pg)) {
        break_off(c);
        return;
    }
    if (c->state == PGCONN_IDLE) {
        set_state(c, PGCONN_BUSY);
    }
    if (deadline) {
        loop_timer_set(c->deadline, deadline);
    }
    write_out(c);
}

/* ---- opening ---- */

static usec connect_usec(const struct pgconn *c)
{
    return c->target->timeouts.connect_ms * 1000ULL;
}

/* The optional setting is answered, one way or the other. */
static void on_ready(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    (void)reply;
    (void)arg;
    if (c->state == PGCONN_SETTING_UP) {
        set_state(c, PGCONN_IDLE);
    }
    c->on_state(c, c->arg);
}

static void on_settings(struct pgconn *c, const struct pgreply *reply,
                        void *arg)
{
    struct err why;
    (void)arg;
    if (!reply->ok && c->state == PGCONN_DEAD) {
        c->on_state(c, c->arg);
    } else if (!reply->ok) {
        why = reply->error;
        err_wrap(&why, "session settings were refused");
        lose(c, &why);
    } else if (!session_is_ours(reply->results[1], &why)) {
        lose(c, &why);
    } else {
        pgconn_add_sql(c, session_optional);
        pgconn_flush(c, connect_usec(c), on_ready, NULL);
    }
}

static void set_up(struct pgconn *c)
{
    set_state(c, PGCONN_SETTING_UP);
    if (PQsetnonblocking(c->pg, 1) != 0 || !PQenterPipelineMode(c->pg)) {
        lose_broken(c);
        return;
    }
    char *set = session_set(SESSION_WORKER, &c->target->timeouts);
    char *look = session_look(SESSION_WORKER);
    pgconn_add_sql(c, set);
    pgconn_add_sql(c, look);
    pgconn_flush(c, connect_usec(c), on_settings, NULL);
    free(set);
    free(look);
}

static void on_io(void *arg, bool readable, bool writable);

/* The socket may change from one poll to the next (several hosts). */
static void watch(struct pgconn *c, bool readable, bool writable)
{
    c->io = loop_io_new(c->loop, PQsocket(c->pg), on_io, c);
    loop_io_want(c->io, readable, writable);
}

/* Towards the host whose turn it is. What fails at once waits for the loop. */
static void start(struct pgconn *c)
{
    c->pg = dial_start(c->target, &c->turns, &c->error);
    if (!c->pg) {
        loop_timer_set(c->kick, 0);
        return;
    }
    watch(c, false, true); /* as PQconnectPoll wants it at the start */
    loop_timer_set(c->deadline, connect_usec(c));
}

/* A host could not be connected to: another's turn, until none is left. */
static void try_next(struct pgconn *c, struct err why)
{
    if (c->pg && dial_is_plain_next(c->pg, c->target)) {
        hang_up(c);
        start(c);
        return;
    }
    dial_also(&why, &c->failed);
    c->failed = why;
    if (hosts_next(c->target, &c->turns)) {
        hang_up(c);
        start(c);
    } else {
        lose(c, &why);
    }
}

static void poll_connect(struct pgconn *c)
{
    struct err why;
    /* Before the poll, which may close the socket under the watcher. */
    loop_io_free(c->io);
    c->io = NULL;
    switch (PQconnectPoll(c->pg)) {
    case PGRES_POLLING_OK:
        watch(c, true, false);
        set_up(c);
        break;
    case PGRES_POLLING_READING:
        watch(c, true, false);
        break;
    case PGRES_POLLING_WRITING:
        watch(c, false, true);
        break;
    default:
        dial_error(c->pg, &why);
        try_next(c, why);
    }
}

static void on_io(void *arg, bool readable, bool writable)
{
    struct pgconn *c = arg;
    (void)writable;
    c->depth++;
    if (c->state == PGCONN_CONNECTING) {
        poll_connect(c);
    } else {
        exchange(c, readable);
    }
    leave(c);
}

static void on_deadline(void *arg)
{
    struct pgconn *c = arg;
    struct err why;
    usec waited = c->flush.fn ? c->flush.deadline : connect_usec(c);
    dial_late(c->pg, waited, &why);
    c->depth++;
    if (c->state == PGCONN_CONNECTING) {
        try_next(c, why);
    } else {
        lose(c, &why);
    }
    leave(c);
}

/* What a call found out and could not answer on the spot. */
static void on_kick(void *arg)
{
    struct pgconn *c = arg;
    c->depth++;
    struct err why = c->error;
    if (c->state == PGCONN_CONNECTING) {
        try_next(c, why);
    } else if (c->state == PGCONN_DEAD && c->flush.fn) {
        lose(c, &why);
    } else if (c->state != PGCONN_DEAD && c->is_broken) {
        exchange(c, true);
    }
    leave(c);
}

struct pgconn *pgconn_open(struct loop *l, struct pgtarget *t,
                           pgconn_state_fn on_state, void *arg)
{
    struct pgconn *c = mem_alloc(sizeof(*c));
    *c = (struct pgconn){.loop = l,
                         .target = t,
                         .on_state = on_state,
                         .arg = arg,
                         .state = PGCONN_CONNECTING,
                         .deadline = loop_timer_new(l, on_deadline, c),
                         .kick = loop_timer_new(l, on_kick, c)};
    flush_init(&c->flush);
    prepared_init(&c->prepared);
    start(c);
    return c;
}

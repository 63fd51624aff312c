/* See pq_part.h: server processes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "faults.h"
#include "pq_part.h"
#include "proc.h"

static struct session *sessions;
static uint32_t n_sessions;
static usec down_until;

uint32_t server_sessions(void)
{
    uint32_t n = 0;

    for (struct session *s = sessions; s; s = s->next) {
        n += !s->is_people;
    }
    return n;
}

bool server_is_down(void)
{
    return world.now < down_until;
}

static void message_free(struct message *m)
{
    free(m->bytes);
    free(m);
}

void messages_free(struct message *m)
{
    for (struct message *next; m; m = next) {
        next = m->next;
        message_free(m);
    }
}

static void on_work(void *arg);
static void on_lock(void *arg);
static void on_back(void *arg);
static void on_end(void *arg);

struct session *session_new(struct pg_conn *client)
{
    struct session *s = mem_zero(1, sizeof(*s));

    s->number = ++n_sessions;
    s->client = client;
    s->work = (struct event){.fn = on_work, .arg = s};
    s->lock = (struct event){.fn = on_lock, .arg = s};
    s->back = (struct event){.fn = on_back, .arg = s};
    s->end = (struct event){.fn = on_end, .arg = s};
    s->last = &s->first;
    s->next = sessions;
    sessions = s;
    return s;
}

struct session *session_of_people(void)
{
    static struct session people = {.is_people = true};

    return &people;
}

uint32_t session_life(const struct session *s)
{
    return s->client ? s->client->proc->life : 0;
}

/* What was open is rolled back. */
static void session_end(struct session *s)
{
    struct session **at = &sessions;

    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    event_stop(&s->work);
    event_stop(&s->lock);
    event_stop(&s->back);
    event_stop(&s->end);
    if (s->tx) {
        db_rollback(s->tx);
    }
    messages_free(s->first);
    answers_free(s->answers, 0, s->n_answers);
    free(s->prepared);
    free(s);
}

static void hear_eof(struct pg_conn *c)
{
    c->session = NULL;
    c->is_eof = true;
    sim_fd_readable(c->fd, true);
}

/* The server process is killed: its client learns so. */
static void session_kill(struct session *s)
{
    struct pg_conn *c = s->client;

    session_end(s);
    if (c) {
        hear_eof(c);
    }
}

void session_work_soon(struct session *s)
{
    if (s->first && !s->work.place && !s->waits_for) {
        event_set(&s->work,
                  chance(20) ? chance_usec(1000, 100000) : chance_usec(5, 300));
    }
}

static void keep_answer(struct session *s, struct pg_result *r)
{
    if (s->n_answers + 2 > s->cap_answers) {
        s->cap_answers = s->cap_answers ? 2 * s->cap_answers : 16;
        s->answers =
            mem_grow(s->answers, s->cap_answers * sizeof(struct pg_result *));
    }
    s->answers[s->n_answers++] = r;
    if (r->status != PGRES_PIPELINE_SYNC) {
        s->answers[s->n_answers++] = NULL;
    }
}

static bool waits_for(const struct session *s, const struct session *whom)
{
    while (s && s->waits_for) {
        s = s->waits_for->session;
        if (s == whom) {
            return true;
        }
    }
    return false;
}

void session_wait(struct session *s, struct tx *holder)
{
    s->waits_for = holder;
}

void sessions_wake(struct tx *holder)
{
    for (struct session *s = sessions; s; s = s->next) {
        if (s->waits_for == holder) {
            s->waits_for = NULL;
            event_stop(&s->lock);
            session_work_soon(s);
        }
    }
}

static const struct statement *find_prepared(struct session *s,
                                             const char *name)
{
    for (uint32_t i = 0; i < s->n_prepared; i++) {
        if (strcmp(s->prepared[i].name, name) == 0) {
            return s->prepared[i].s;
        }
    }
    return NULL;
}

static void forget(struct session *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_prepared; i++) {
        if (strcmp(s->prepared[i].name, name) == 0) {
            s->prepared[i] = s->prepared[--s->n_prepared];
            return;
        }
    }
}

static struct pg_result *prepare(struct session *s, const struct message *m)
{
    s->prepared =
        mem_grow(s->prepared, (s->n_prepared + 1) * sizeof(*s->prepared));
    memcpy(s->prepared[s->n_prepared].name, m->name, sizeof(m->name));
    s->prepared[s->n_prepared++].s = m->call.s;
    return answer_status(PGRES_COMMAND_OK, "");
}

static struct pg_result *commit(struct session *s)
{
    bool has_failed = !s->tx || s->tx->has_failed;
    struct tx *t = s->tx;

    s->tx = NULL;
    if (t && has_failed) {
        db_rollback(t);
    } else if (t) {
        db_commit(t);
    }
    return answer_status(PGRES_COMMAND_OK,
                         t && has_failed ? "ROLLBACK" : "COMMIT");
}

static struct pg_result *run_verb(struct session *s, enum statement_verb verb,
                                  uint32_t number)
{
    if (verb == VERB_BEGIN || verb == VERB_BEGIN_SNAPSHOT) {
        if (!s->tx) {
            s->tx = db_begin(s, verb == VERB_BEGIN_SNAPSHOT);
        }
        s->tx->is_implicit = false;
        return answer_status(PGRES_COMMAND_OK, "BEGIN");
    }
    if (verb == VERB_COMMIT) {
        return commit(s);
    }
    if (verb == VERB_ROLLBACK) {
        if (s->tx) {
            db_rollback(s->tx);
            s->tx = NULL;
        }
        return answer_status(PGRES_COMMAND_OK, "ROLLBACK");
    }
    s->tx->lock_ms = number;
    return answer_status(PGRES_COMMAND_OK, "SET");
}

enum { LOCK_MS = 5000 };

/* NULL: it waits. */
static struct pg_result *run_statement(struct session *s, struct message *m)
{
    const struct statement *st =
        m->call.s ? m->call.s : find_prepared(s, m->name);
    uint32_t number = 0;
    enum statement_verb verb;
    struct pg_result *r;

    if (!st) {
        return answer_error("26000", "prepared statement does not exist");
    }
    verb = statement_verb(st, &number);
    if (s->tx && s->tx->has_failed && verb != VERB_ROLLBACK &&
        verb != VERB_COMMIT) {
        return answer_error("25P02", "current transaction is aborted");
    }
    if (verb != VERB_OTHER) {
        return run_verb(s, verb, number);
    }
    if (!s->tx) {
        s->tx = db_begin(s, false);
        s->tx->is_implicit = true;
    }
    m->call.s = st;
    r = faults_of_statement(st);
    r = r ? r : statement_run(s->tx, &m->call);
    if (!r && waits_for(s, s)) {
        s->waits_for = NULL;
        return answer_error("40P01", "deadlock detected");
    }
    if (!r) {
        uint32_t ms = s->tx->lock_ms ? s->tx->lock_ms : LOCK_MS;

        if (!s->lock.place) {
            event_set(&s->lock, ms * 1000ULL);
        }
    }
    return r;
}

static void failed(struct session *s, const struct pg_result *r,
                   const struct message *m)
{
    trace("session %u: %s fails: %s %s", s->number,
          m->call.s ? statement_name(m->call.s) : m->name, r->sqlstate,
          r->text);
    s->skips = true;
    if (s->tx) {
        s->tx->has_failed = true;
    }
}

static void sync(struct session *s)
{
    s->skips = false;
    if (s->tx && s->tx->is_implicit) {
        PQclear(s->tx->has_failed ? run_verb(s, VERB_ROLLBACK, 0) : commit(s));
    }
    keep_answer(s, answer_status(PGRES_PIPELINE_SYNC, ""));
    if (s->client) {
        event_set(&s->back, chance(30) ? chance_usec(1000, 200000)
                                       : chance_usec(20, 1500));
    }
}

/* The message in hand was answered. */
static void message_done(struct session *s)
{
    struct message *m = s->first;

    event_stop(&s->lock);
    s->first = m->next;
    s->last = s->first ? s->last : &s->first;
    message_free(m);
}

static void work(struct session *s, struct message *m)
{
    struct pg_result *r;

    if (m->kind == MESSAGE_SYNC) {
        sync(s);
    } else if (s->skips) {
        keep_answer(s, answer_status(PGRES_PIPELINE_ABORTED, ""));
    } else if (m->kind == MESSAGE_PREPARE) {
        keep_answer(s, prepare(s, m));
    } else if (m->is_forget) {
        forget(s, m->name);
        keep_answer(s, answer_status(PGRES_COMMAND_OK, "DEALLOCATE"));
    } else {
        r = run_statement(s, m);
        if (!r) {
            return;
        }
        if (r->status == PGRES_FATAL_ERROR) {
            failed(s, r, m);
        }
        keep_answer(s, r);
    }
    message_done(s);
}

static void go_on(struct session *s)
{
    if (!s->first && s->is_ending && !s->end.place) {
        session_end(s);
    } else {
        session_work_soon(s);
    }
}

static void on_work(void *arg)
{
    struct session *s = arg;

    if (s->first) {
        work(s, s->first);
    }
    go_on(s);
}

/* The statement that waits is given up. */
static void on_lock(void *arg)
{
    struct session *s = arg;
    struct message *m = s->first;
    struct pg_result *r =
        answer_error("55P03", "canceling statement due to lock timeout");

    must(m && s->waits_for);
    s->waits_for = NULL;
    failed(s, r, m);
    keep_answer(s, r);
    message_done(s);
    go_on(s);
}

static void on_end(void *arg)
{
    struct session *s = arg;

    if (!s->waits_for) {
        go_on(s);
    }
}

static void on_back(void *arg)
{
    struct session *s = arg;
    struct pg_conn *c = s->client;

    if (!c) {
        return;
    }
    must(c->at == c->n_answers);
    free(c->answers);
    c->answers = s->answers;
    c->n_answers = s->n_answers;
    c->at = 0;
    s->answers = NULL;
    s->n_answers = s->cap_answers = 0;
    c->transaction_there = !s->tx              ? PQTRANS_IDLE
                           : s->tx->has_failed ? PQTRANS_INERROR
                                               : PQTRANS_INTRANS;
    sim_fd_readable(c->fd, true);
}

void session_let_go(struct session *s, bool reads_on)
{
    s->client = NULL;
    s->is_ending = true;
    if (!reads_on || !s->first) {
        session_end(s);
        return;
    }
    for (struct message *m = s->first; m; m = m->next) {
        if (chance(30)) {
            messages_free(m->next);
            m->next = NULL;
            s->last = &m->next;
        }
    }
    session_work_soon(s);
}

/* ---- what the world does to it ---- */

/* It has committed, or is to, and the client does not know. */
static bool commits(const struct session *s)
{
    const struct message *m = s->first;
    uint32_t number;

    while (m &&
           (!m->call.s || statement_verb(m->call.s, &number) != VERB_COMMIT)) {
        m = m->next;
    }
    return m || (s->back.place && !s->tx);
}

static struct session *some_session(bool commits_now)
{
    struct session *s = sessions;
    uint32_t n = chance_below(server_sessions() + 1), all = server_sessions();

    for (; s && n > 0; n--) {
        s = s->next ? s->next : sessions;
    }
    for (; s && commits_now && !commits(s) && all > 0; all--) {
        s = s->next ? s->next : sessions;
    }
    return s;
}

void server_lose_one(void)
{
    struct session *s = some_session(chance(500));
    struct pg_conn *c;

    if (!s || !s->client) {
        return;
    }
    c = s->client;
    switch (chance_below(4)) {
    case 0:
        trace("session %u is killed", s->number);
        session_kill(s);
        break;
    case 1:
        trace("session %u loses its client, and reads on", s->number);
        session_let_go(s, true);
        hear_eof(c);
        break;
    case 2:
        trace("session %u waits for a client that is gone", s->number);
        event_set(&s->end, chance_usec(1000000, 40000000));
        s->client = NULL;
        s->is_ending = true;
        hear_eof(c);
        break;
    default:
        trace("session %u and its client hear nothing more", s->number);
        session_let_go(s, chance(500));
        c->session = NULL; /* which its deadline tells */
    }
}

void server_down(usec until)
{
    down_until = until;
    for (struct session *s = sessions, *next; s; s = next) {
        next = s->next;
        session_kill(s);
    }
}

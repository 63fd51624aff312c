/* See pq.h. */
#include "pq.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "faults.h"
#include "proc.h"

/* ---- answers ---- */

struct pg_result *answer_new(int n_columns)
{
    struct pg_result *r = mem_zero(1, sizeof(*r));

    r->n_columns = n_columns;
    r->status = PGRES_TUPLES_OK;
    return r;
}

/* Cells come row by row. */
static void add(struct pg_result *r, const void *p, int len, uint32_t type)
{
    int at = r->n_rows; /* cells so far */

    if (at == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 16;
        r->cells = mem_grow(r->cells, (size_t)r->cap * sizeof(*r->cells));
    }
    r->types[at % r->n_columns] = type;
    r->n_rows++;
    if (!p) {
        r->cells[at] = (struct cell){.at = -1};
        return;
    }
    if (r->n_bytes + len + 1 > r->cap_bytes) {
        r->cap_bytes = 2 * r->cap_bytes + len + 64;
        r->bytes = mem_grow(r->bytes, (size_t)r->cap_bytes);
    }
    r->cells[at] = (struct cell){.at = r->n_bytes, .len = len};
    memcpy(r->bytes + r->n_bytes, p, (size_t)len);
    r->bytes[r->n_bytes + len] = '\0';
    r->n_bytes += len + 1;
}

void answer_int8(struct pg_result *r, int64_t v)
{
    uint64_t wire = __builtin_bswap64((uint64_t)v);
    add(r, &wire, 8, 20);
}

void answer_int4(struct pg_result *r, int32_t v)
{
    uint32_t wire = __builtin_bswap32((uint32_t)v);
    add(r, &wire, 4, 23);
}

void answer_xid(struct pg_result *r, uint32_t v)
{
    uint32_t wire = __builtin_bswap32(v);
    add(r, &wire, 4, 28);
}

void answer_bool(struct pg_result *r, bool v)
{
    add(r, v ? "\1" : "\0", 1, 16);
}

void answer_text(struct pg_result *r, const char *s)
{
    add(r, s, (int)strlen(s), 25);
}

void answer_null(struct pg_result *r)
{
    add(r, NULL, 0, 25);
}

struct pg_result *answer_one_null(void)
{
    struct pg_result *r = answer_new(1);

    answer_null(r);
    return r;
}

struct pg_result *answer_error(const char *sqlstate, const char *text)
{
    struct pg_result *r = answer_new(1);

    r->status = PGRES_FATAL_ERROR;
    r->severity = "ERROR";
    snprintf(r->sqlstate, sizeof(r->sqlstate), "%s", sqlstate);
    snprintf(r->text, sizeof(r->text), "%s", text);
    return r;
}

struct pg_result *answer_stale(void)
{
    return answer_error("40001",
                        "could not serialize access due to concurrent update");
}

static struct pg_result *answer_status(int status, const char *tag)
{
    struct pg_result *r = answer_new(1);

    r->status = status;
    snprintf(r->tag, sizeof(r->tag), "%s", tag);
    return r;
}

void PQclear(PGresult *r)
{
    if (r) {
        free(r->cells);
        free(r->bytes);
        free(r);
    }
}

ExecStatusType PQresultStatus(const PGresult *r)
{
    return r ? (ExecStatusType)r->status : PGRES_FATAL_ERROR;
}

int PQntuples(const PGresult *r)
{
    return r->n_rows / r->n_columns;
}

static const struct cell *cell_at(const PGresult *r, int row, int column)
{
    must(row * r->n_columns + column < r->n_rows && column < r->n_columns);
    return &r->cells[row * r->n_columns + column];
}

int PQgetlength(const PGresult *r, int row, int column)
{
    return cell_at(r, row, column)->len;
}

int PQgetisnull(const PGresult *r, int row, int column)
{
    return cell_at(r, row, column)->at < 0;
}

char *PQgetvalue(const PGresult *r, int row, int column)
{
    const struct cell *c = cell_at(r, row, column);

    return c->at < 0 ? (char *)(uintptr_t) "" : r->bytes + c->at;
}

Oid PQftype(const PGresult *r, int column)
{
    return r->types[column];
}

char *PQcmdStatus(PGresult *r)
{
    return r->tag;
}

char *PQresultErrorField(const PGresult *r, int code)
{
    switch (code) {
    case PG_DIAG_SQLSTATE:
        return r->sqlstate[0] ? (char *)(uintptr_t)r->sqlstate : NULL;
    case PG_DIAG_MESSAGE_PRIMARY:
        return (char *)(uintptr_t)r->text;
    case PG_DIAG_SEVERITY_NONLOCALIZED:
        return (char *)(uintptr_t)r->severity;
    case PG_DIAG_SOURCE_FUNCTION:
        return (char *)(uintptr_t)r->from;
    default:
        return NULL;
    }
}

char *PQresultErrorMessage(const PGresult *r)
{
    return (char *)(uintptr_t)r->text;
}

/* ---- messages, and both ends ---- */

enum message_kind { MESSAGE_RUN, MESSAGE_PREPARE, MESSAGE_SYNC };

struct message {
    struct message *next;
    enum message_kind kind;
    char name[16]; /* of a prepared statement; "" : none */
    bool is_forget;
    struct call call;
    char *bytes; /* owned: the parameters */
};

struct prepared_there {
    char name[16];
    const struct statement *s;
};

/* A server process. It outlives its client's end for a while. */
struct session {
    struct session *next;
    uint32_t number;
    struct pg_conn *client; /* NULL: it is gone */
    struct event work;      /* the next message */
    struct event lock;      /* a wait for a lock that takes too long */
    struct event back;      /* answers come to the client */
    struct event end; /* of one that does not know that its client is gone */
    struct message *first, **last;
    bool skips; /* a statement failed: nothing up to the Sync is run */
    struct tx *tx;
    struct tx *waits_for;
    struct pg_result **answers; /* owned; of this Sync, and in between NULL */
    uint32_t n_answers, cap_answers;
    struct prepared_there *prepared; /* owned */
    uint32_t n_prepared;
    bool is_ending; /* its client is gone: it ends when it has read all */
    bool is_people;
};

struct pg_conn {
    struct proc *proc;
    struct session *session;
    struct event dialed;
    int fd;
    ConnStatusType status;
    bool is_eof;
    bool is_refused;
    struct pg_result **answers; /* owned; come in, from [at] */
    uint32_t n_answers, at;
    PGTransactionStatusType transaction, transaction_there;
    struct message *out, **last_out; /* not yet flushed */
    char text[200];
};

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

static void messages_free(struct message *m)
{
    for (struct message *next; m; m = next) {
        next = m->next;
        message_free(m);
    }
}

/* Those from [at] on; the ones before are their reader's. */
static void answers_free(struct pg_result **answers, uint32_t at, uint32_t n)
{
    for (; at < n; at++) {
        PQclear(answers[at]);
    }
    free(answers);
}

/* ---- the server's end ---- */

static void on_work(void *arg);
static void on_lock(void *arg);
static void on_back(void *arg);
static void on_end(void *arg);

static struct session *session_new(struct pg_conn *client)
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

static void work_soon(struct session *s)
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
            work_soon(s);
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
        work_soon(s);
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

/* ---- the client's end ---- */

static void on_dialed(void *arg)
{
    struct pg_conn *c = arg;

    c->is_refused = server_is_down() || faults_refuse();
    sim_fd_readable(c->fd, true);
}

PGconn *PQconnectStartParams(const char *const *words,
                             const char *const *values, int expand)
{
    struct pg_conn *c = mem_zero(1, sizeof(*c));

    (void)words;
    (void)values;
    (void)expand;
    c->proc = proc_now();
    c->fd = sim_fd_new();
    c->status = CONNECTION_STARTED;
    c->last_out = &c->out;
    c->dialed = (struct event){.fn = on_dialed, .arg = c};
    event_set(&c->dialed, chance_usec(200, 8000));
    return c;
}

PostgresPollingStatusType PQconnectPoll(PGconn *c)
{
    if (c->dialed.place) {
        return PGRES_POLLING_READING;
    }
    sim_fd_readable(c->fd, false);
    if (c->is_refused) {
        c->status = CONNECTION_BAD;
        snprintf(c->text, sizeof(c->text), "connection refused");
        return PGRES_POLLING_FAILED;
    }
    c->session = session_new(c);
    c->status = CONNECTION_OK;
    return PGRES_POLLING_OK;
}

/* What was sent may still be read, all of it or a part. */
static void let_go(struct session *s, bool reads_on)
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
    work_soon(s);
}

void PQfinish(PGconn *c)
{
    if (!c) {
        return;
    }
    event_stop(&c->dialed);
    if (c->session) {
        let_go(c->session, true);
    }
    answers_free(c->answers, c->at, c->n_answers);
    messages_free(c->out);
    sim_fd_close(c->fd);
    free(c);
}

static void send(PGconn *c, struct message *m)
{
    m->next = NULL;
    *c->last_out = m;
    c->last_out = &m->next;
}

static struct message *message_new(enum message_kind kind)
{
    struct message *m = mem_zero(1, sizeof(*m));

    m->kind = kind;
    return m;
}

static void set_params(struct message *m, int n, const char *const *values,
                       const int *lengths)
{
    size_t size = 0, at = 0;

    must(n <= (int)(sizeof(m->call.params) / sizeof(*m->call.params)));
    for (int i = 0; i < n; i++) {
        size += values[i] ? (size_t)lengths[i] + 1 : 0;
    }
    m->bytes = mem_zero(1, size + 1);
    m->call.n_params = n;
    for (int i = 0; i < n; i++) {
        struct param *p = &m->call.params[i];

        if (values[i]) {
            p->p = memcpy(m->bytes + at, values[i], (size_t)lengths[i]);
            p->len = lengths[i];
            at += (size_t)lengths[i] + 1;
        }
    }
}

int PQsendQueryParams(PGconn *c, const char *sql, int n, const Oid *types,
                      const char *const *values, const int *lengths,
                      const int *formats, int format)
{
    struct message *m = message_new(MESSAGE_RUN);

    (void)types;
    (void)formats;
    (void)format;
    if (strncmp(sql, "DEALLOCATE ", 11) == 0) {
        m->is_forget = true;
        snprintf(m->name, sizeof(m->name), "%s", sql + 11);
    } else {
        m->call.s = statement_of(sql);
    }
    set_params(m, n, values, lengths);
    send(c, m);
    return 1;
}

int PQsendPrepare(PGconn *c, const char *name, const char *sql, int n,
                  const Oid *types)
{
    struct message *m = message_new(MESSAGE_PREPARE);

    (void)n;
    (void)types;
    snprintf(m->name, sizeof(m->name), "%s", name);
    m->call.s = statement_of(sql);
    send(c, m);
    return 1;
}

int PQsendQueryPrepared(PGconn *c, const char *name, int n,
                        const char *const *values, const int *lengths,
                        const int *formats, int format)
{
    struct message *m = message_new(MESSAGE_RUN);

    (void)formats;
    (void)format;
    snprintf(m->name, sizeof(m->name), "%s", name);
    set_params(m, n, values, lengths);
    send(c, m);
    return 1;
}

int PQpipelineSync(PGconn *c)
{
    send(c, message_new(MESSAGE_SYNC));
    return 1;
}

int PQflush(PGconn *c)
{
    struct session *s = c->session;

    if (!c->out) {
        return 0;
    }
    if (s) {
        *s->last = c->out;
        s->last = c->last_out;
        work_soon(s);
    } else {
        messages_free(c->out);
    }
    c->out = NULL;
    c->last_out = &c->out;
    return 0;
}

int PQconsumeInput(PGconn *c)
{
    sim_fd_readable(c->fd, false);
    if (c->is_eof) {
        c->status = CONNECTION_BAD;
        snprintf(c->text, sizeof(c->text),
                 "server closed the connection unexpectedly");
        return 0;
    }
    return 1;
}

int PQisBusy(PGconn *c)
{
    return c->at == c->n_answers;
}

PGresult *PQgetResult(PGconn *c)
{
    struct pg_result *r = c->answers[c->at++];

    if (r && r->status == PGRES_PIPELINE_SYNC) {
        c->transaction = c->transaction_there;
    }
    return r;
}

PGTransactionStatusType PQtransactionStatus(const PGconn *c)
{
    return c->status == CONNECTION_BAD ? PQTRANS_UNKNOWN : c->transaction;
}

ConnStatusType PQstatus(const PGconn *c)
{
    return c->status;
}

char *PQerrorMessage(const PGconn *c)
{
    return (char *)(uintptr_t)c->text;
}

int PQsocket(const PGconn *c)
{
    return c->fd;
}

int PQsetnonblocking(PGconn *c, int on)
{
    (void)c;
    (void)on;
    return 0;
}

int PQenterPipelineMode(PGconn *c)
{
    (void)c;
    return 1;
}

PGVerbosity PQsetErrorVerbosity(PGconn *c, PGVerbosity v)
{
    (void)c;
    return v;
}

PQnoticeReceiver PQsetNoticeReceiver(PGconn *c, PQnoticeReceiver fn, void *arg)
{
    (void)c;
    (void)arg;
    return fn;
}

int PQconnectionNeedsPassword(const PGconn *c)
{
    (void)c;
    return 0;
}

static char nothing[1];

char *PQdb(const PGconn *c)
{
    (void)c;
    return nothing;
}

char *PQuser(const PGconn *c)
{
    (void)c;
    return nothing;
}

char *PQhost(const PGconn *c)
{
    (void)c;
    return nothing;
}

char *PQport(const PGconn *c)
{
    (void)c;
    return nothing;
}

PGresult *PQexec(PGconn *c, const char *sql)
{
    (void)c;
    broken("a worker waits in libpq for %s", sql);
}

int PQdefaultSSLKeyPassHook_OpenSSL(char *text, int size, PGconn *c)
{
    (void)text;
    (void)size;
    (void)c;
    return 0;
}

void PQsetSSLKeyPassHook_OpenSSL(PQsslKeyPassHook_OpenSSL_type fn)
{
    (void)fn;
}

/* The pipeline's is one host, by its address. */
PQconninfoOption *PQconninfoParse(const char *text, char **why)
{
    PQconninfoOption *o = mem_zero(2, sizeof(*o));

    (void)text;
    *why = NULL;
    o[0].keyword = (char *)(uintptr_t) "hostaddr";
    o[0].val = (char *)(uintptr_t) "127.0.0.1";
    return o;
}

void PQconninfoFree(PQconninfoOption *o)
{
    free(o);
}

void PQfreemem(void *p)
{
    free(p);
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
        let_go(s, true);
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
        let_go(s, chance(500));
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

/* See pq_part.h: connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "faults.h"
#include "pq_part.h"
#include "proc.h"

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

void PQfinish(PGconn *c)
{
    if (!c) {
        return;
    }
    event_stop(&c->dialed);
    if (c->session) {
        session_let_go(c->session, true);
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
        session_work_soon(s);
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

/* See dial.h. libpq gives no SQLSTATE for a failed connection attempt except
 * inside its text, so attempts are made with verbose errors and the code is
 * cut out of "FATAL:  28P01: password authentication failed". */
#include "postgres/wire/dial.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "postgres/sql/sql_text.h"
#include "postgres/wire/hosts.h"
#include "postgres/wire/session.h"
#include "postgres/wire/sqlstate.h"

enum { STATE_LEN = 5, TEXT_BYTES = 480, WORDS = 16 };

/* As in scripts/tidemill/plan/plan.lua. */
const struct plan_timeouts DIAL_TIMEOUTS = {.connect_ms = 5000,
                                            .statement_ms = 60000,
                                            .lock_ms = 20000,
                                            .idle_in_transaction_ms = 60000,
                                            .tcp_user_ms = 30000};

static void ignore_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

/* libpq's own words would repeat parts of a password that ended up elsewhere. */
bool dial_check(const char *conninfo, struct err *e)
{
    return hosts_is_readable(conninfo) ||
           err_set(e, ERR_CONFIG,
                   "the database address is neither a URL "
                   "(postgres://user:password@host:5432/name) nor a list "
                   "(host=... dbname=...): check quotes, and percent-encode "
                   "special characters of the password (@ is %%40, / is %%2F, "
                   ": is %%3A, %% is %%25)");
}

struct dial_words {
    const char *keywords[WORDS + 1]; /* NULL behind the last */
    const char *values[WORDS + 1];
    int n;
};

static void say(struct dial_words *w, const char *keyword, const char *value)
{
    must(w->n < WORDS);
    w->keywords[w->n] = keyword;
    w->values[w->n++] = value;
}

static void say_limits(struct dial_words *w, const struct pgtarget *t)
{
    say(w, "fallback_application_name", t->application_name);
    say(w, "keepalives", "1");
    say(w, "keepalives_idle", "10");
    say(w, "keepalives_interval", "5");
    say(w, "keepalives_count", "3");
    if (t->must_write && !getenv("PGTARGETSESSIONATTRS")) {
        say(w, "target_session_attrs", "read-write");
    }
}

/* Those of the conninfo and ours; NULL: the conninfo's alone. */
static char *options_of(const struct pgtarget *t)
{
    enum session_kind kind = t->for_people ? SESSION_PEOPLE : SESSION_WORKER;
    char *said = NULL, *all = NULL;
    if (!t->starts_plain && hosts_options(t->conninfo, &said)) {
        all = session_options(kind, &t->timeouts, said);
    }
    free(said);
    return all;
}

/* Later words override earlier ones: those before dbname are defaults that a
 * conninfo may change, those behind it are not up for choice. */
PGconn *dial_start(const struct pgtarget *t, struct pgturns *turns,
                   struct err *e)
{
    struct dial_words w = {0};
    struct host host;
    struct arena a;
    char tcp_user_ms[16];
    if (!dial_check(t->conninfo, e)) {
        return NULL;
    }
    /* Else OpenSSL would ask for a key's password at the terminal, and wait. */
    PQsetSSLKeyPassHook_OpenSSL(PQdefaultSSLKeyPassHook_OpenSSL);
    arena_init(&a, 0);
    if (!hosts_pick(t, hosts_resolve, &a, turns, &host, e)) {
        arena_close(&a);
        return NULL;
    }
    snprintf(tcp_user_ms, sizeof(tcp_user_ms), "%u", t->timeouts.tcp_user_ms);
    say_limits(&w, t);
    say(&w, "tcp_user_timeout", tcp_user_ms);
    say(&w, "dbname", t->conninfo);
    say(&w, "client_encoding", "UTF8");
    say(&w, "host", host.host); /* libpq passes over what is empty */
    say(&w, "hostaddr", host.hostaddr);
    say(&w, "port", host.port);
    char *options = options_of(t);
    say(&w, "options", options);
    PGconn *pg = PQconnectStartParams(w.keywords, w.values, 1);
    arena_close(&a);
    free(options);
    if (!pg) {
        err_set(e, ERR_RESOURCE, "cannot connect to PostgreSQL: out of memory");
        return NULL;
    }
    if (PQstatus(pg) == CONNECTION_BAD) {
        dial_error(pg, e);
        PQfinish(pg);
        return NULL;
    }
    PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(pg, ignore_notice, NULL);
    return pg;
}

bool dial_late(const PGconn *pg, usec waited, struct err *e)
{
    const char *host = PQhost(pg), *port = PQport(pg);
    return err_set(e, ERR_CONNECTION,
                   "no answer from PostgreSQL at \"%s\", port %s, within %llu "
                   "ms",
                   host ? host : "", port ? port : "",
                   (unsigned long long)(waited / 1000));
}

/* What the server itself said decides: a wrong password is no outage, though
 * another host may be down. */
void dial_also(struct err *e, const struct err *before)
{
    struct err last = *e;
    if (!before->text[0]) {
        return;
    }
    if (before->sqlstate[0] && !e->sqlstate[0]) {
        e->class = before->class;
        memcpy(e->sqlstate, before->sqlstate, sizeof(e->sqlstate));
    }
    snprintf(e->text, sizeof(e->text), "%.340s; %.340s", before->text,
             last.text);
}

/* Polls until it is connected, has failed or time is over. */
static bool wait_for(PGconn *pg, uint32_t connect_ms, struct err *e)
{
    usec end = clock_usec() + connect_ms * 1000ULL;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        usec now = clock_usec();
        struct pollfd fd = {
            .fd = PQsocket(pg),
            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (now >= end) {
            return dial_late(pg, connect_ms * 1000ULL, e);
        }
        if (poll(&fd, 1, (int)((end - now) / 1000) + 1) > 0) {
            status = PQconnectPoll(pg);
        }
    }
    return status == PGRES_POLLING_OK || dial_error(pg, e);
}

/* False: the session cannot be made ours. */
static bool set_up_session(PGconn *pg, const struct plan_timeouts *t,
                           struct err *e)
{
    char *set = session_set(SESSION_PEOPLE, t);
    char *look = session_look(SESSION_PEOPLE);
    PGresult *r = PQexec(pg, set);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    if (ok) {
        PQclear(r);
        r = PQexec(pg, look);
        ok = PQresultStatus(r) == PGRES_TUPLES_OK;
    }
    ok = ok ? session_is_ours(r, e) : dial_result(r, e);
    PQclear(r);
    free(set);
    free(look);
    return ok;
}

/* To the host whose turn it is; again when it took no options. */
static PGconn *try_host(struct pgtarget *t, struct pgturns *turns,
                        struct err *e)
{
    PGconn *pg = dial_start(t, turns, e);
    if (pg && wait_for(pg, t->timeouts.connect_ms, e) &&
        set_up_session(pg, &t->timeouts, e)) {
        return pg;
    }
    bool is_again =
        pg && PQstatus(pg) == CONNECTION_BAD && dial_is_plain_next(pg, t);
    PQfinish(pg);
    return is_again ? try_host(t, turns, e) : NULL;
}

PGconn *dial_wait(const char *conninfo, const char *application_name,
                  bool must_write, uint32_t lock_ms, struct err *e)
{
    struct pgtarget t = {.conninfo = conninfo,
                         .application_name = application_name,
                         .timeouts = DIAL_TIMEOUTS,
                         .must_write = must_write,
                         .for_people = true};
    struct pgturns turns = {0};
    struct err before = {0};
    t.timeouts.statement_ms = 0;
    t.timeouts.lock_ms = lock_ms;
    do {
        PGconn *pg = try_host(&t, &turns, e);
        if (pg) {
            return pg;
        }
        dial_also(e, &before);
        before = *e;
    } while (hosts_next(&t, &turns));
    return NULL;
}

/* "FATAL:  28P01: ...": where the five characters start, or NULL. */
static char *find_state(char *text)
{
    for (char *p = strstr(text, ":  "); p; p = strstr(p + 1, ":  ")) {
        char *q = p + 3;
        int n = 0;
        while (n < STATE_LEN &&
               (isupper((unsigned char)q[n]) || isdigit((unsigned char)q[n]))) {
            n++;
        }
        if (n == STATE_LEN && q[n] == ':' && q[n + 1] == ' ') {
            return q;
        }
    }
    return NULL;
}

bool dial_is_plain_next(const PGconn *pg, struct pgtarget *t)
{
    static const char *const states[] = {"08P01", "0A000", "22023",
                                         "42501", "42601", "42704"};
    char text[TEXT_BYTES];
    const char *state;
    snprintf(text, sizeof(text), "%s", PQerrorMessage(pg));
    state = find_state(text);
    for (size_t i = 0; state && i < sizeof(states) / sizeof(*states); i++) {
        if (!t->starts_plain && strncmp(state, states[i], STATE_LEN) == 0) {
            return t->starts_plain = true;
        }
    }
    return false;
}

/* libpq's text in one line, without the place in the server's source. */
static void flatten(char *text)
{
    char *place = strstr(text, "LOCATION:");
    if (place) {
        *place = '\0';
    }
    char *to = text;
    for (const char *p = text; *p; p++) {
        bool is_blank = isspace((unsigned char)*p);
        if (!is_blank) {
            *to++ = *p;
        } else if (to > text && to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    while (to > text && to[-1] == ' ') {
        to--;
    }
    *to = '\0';
}

/* Takes the code out of the text and into the error. */
static enum err_class take_state(char *text, struct err *e)
{
    char *state = find_state(text);
    if (state) {
        memcpy(e->sqlstate, state, STATE_LEN);
        e->sqlstate[STATE_LEN] = '\0';
        memmove(state, state + STATE_LEN + 2,
                strlen(state + STATE_LEN + 2) + 1);
    }
    return sqlstate_refusal(e->sqlstate, text);
}

/* What to do about it, for people. */
static void put_hint(struct buf *b, const PGconn *pg, const char *text)
{
    const char *hint = sqlstate_hint(text);
    if (strstr(text, "CONNECT privilege")) {
        buf_puts(b, ": GRANT CONNECT ON DATABASE ");
        sql_quote(b, PQdb(pg));
        buf_puts(b, " TO ");
        sql_quote(b, PQuser(pg));
        buf_puts(b, ";");
    } else if (hint) {
        buf_printf(b, ": %s", hint);
    }
}

bool dial_error(const PGconn *pg, struct err *e)
{
    struct buf hint = {0};
    char text[TEXT_BYTES];
    struct err state = {0};
    snprintf(text, sizeof(text), "%s", PQerrorMessage(pg));
    enum err_class class = take_state(text, &state);
    flatten(text);
    if (PQconnectionNeedsPassword(pg)) {
        class = ERR_CONFIG;
    }
    put_hint(&hint, pg, text);
    err_set(e, class, "cannot connect to PostgreSQL: %s%s", text,
            buf_text(&hint));
    buf_close(&hint);
    memcpy(e->sqlstate, state.sqlstate, sizeof(e->sqlstate));
    return false;
}

/* libpq's own words, when this process gets no more of it. */
static bool is_no_memory(const char *text)
{
    return strstr(text, "out of memory") ||
           strstr(text, "cannot allocate memory");
}

bool dial_lost(const PGconn *pg, struct err *e)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof(text), "%s", PQerrorMessage(pg));
    flatten(text);
    return err_set(e, is_no_memory(text) ? ERR_RESOURCE : ERR_CONNECTION,
                   "connection to PostgreSQL lost: %s",
                   text[0] ? text : "closed by the server");
}

static const char *field(const PGresult *r, int code)
{
    const char *text = PQresultErrorField(r, code);
    return text ? text : "";
}

bool dial_is_stale(const PGresult *r)
{
    const char *state = field(r, PG_DIAG_SQLSTATE);
    return strcmp(state, "26000") == 0 ||
           (strcmp(state, "0A000") == 0 &&
            strcmp(field(r, PG_DIAG_SOURCE_FUNCTION),
                   "RevalidateCachedQuery") == 0);
}

bool dial_is_fatal(const PGresult *r)
{
    const char *severity = field(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    return strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0;
}

/* RAISE with a code of the user's own choice, which no table can know, in a
 * trigger or function of PL/pgSQL: it speaks of the row. */
static bool is_raised(const PGresult *r)
{
    return strcmp(field(r, PG_DIAG_SOURCE_FUNCTION), "exec_stmt_raise") == 0 &&
           !sqlstate_is_known(field(r, PG_DIAG_SQLSTATE));
}

static enum err_class result_class(const PGresult *r)
{
    bool is_ours = !field(r, PG_DIAG_SQLSTATE)[0];
    return is_ours && is_no_memory(PQresultErrorMessage(r)) ? ERR_RESOURCE
           : dial_is_stale(r)                               ? ERR_CONFLICT
           : is_raised(r)                                   ? ERR_DATA
                          : sqlstate_class(field(r, PG_DIAG_SQLSTATE));
}

bool dial_result(const PGresult *r, struct err *e)
{
    const char *state = field(r, PG_DIAG_SQLSTATE);
    const char *text = field(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = field(r, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = field(r, PG_DIAG_MESSAGE_HINT);
    err_set(e, result_class(r), "%.320s%s%.200s%s%.120s",
            text[0] ? text : PQresultErrorMessage(r), detail[0] ? ": " : "",
            detail, hint[0] ? "; hint: " : "", hint);
    if (!text[0]) {
        flatten(e->text); /* libpq's own words end with a line feed */
    }
    snprintf(e->sqlstate, sizeof(e->sqlstate), "%s", state);
    e->is_right = strncmp(field(r, PG_DIAG_SOURCE_FUNCTION), "aclcheck_error",
                          strlen("aclcheck_error")) == 0;
    return false;
}

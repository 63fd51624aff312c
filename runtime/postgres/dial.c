/* See dial.h. libpq gives no SQLSTATE for a failed connection attempt except
 * inside its text, so attempts are made with verbose errors and the code is
 * cut out of "FATAL:  28P01: password authentication failed". */
#include "postgres/dial.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postgres/sqlstate.h"

enum { STATE_LEN = 5, TEXT_BYTES = 480, WAIT_USEC = 10 * 1000000 };

/* Every session is the same whatever the role's defaults are. The planner's
 * choices are cut down because a statement prepared while its table is empty
 * would keep a plan that scans it for ever. jit: a plan that the cuts make
 * look dear would be compiled, for seconds. */
const char *dial_settings(void)
{
    return "SELECT set_config(name, value, false) FROM (VALUES "
           "('TimeZone', 'UTC'), ('DateStyle', 'ISO'), "
           "('standard_conforming_strings', 'on'), ('enable_seqscan', 'off'), "
           "('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'), "
           "('jit', 'off'), ('statement_timeout', '60s'), "
           "('lock_timeout', '20s'), "
           "('idle_in_transaction_session_timeout', '60s')) AS s(name, value)";
}

const char *dial_optional_settings(void)
{
    return "SELECT set_config('client_connection_check_interval', '10s', "
           "false)";
}

static void ignore_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

/* A word without "=" and scheme is a database's name to libpq, not a list of
 * settings. */
static bool is_readable(const char *conninfo)
{
    if (!strchr(conninfo, '=') && !strstr(conninfo, "://")) {
        return true;
    }
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    PQfreemem(why); /* it quotes the text, password and all */
    PQconninfoFree(options);
    return options != NULL;
}

static bool check_conninfo(const char *conninfo, struct err *e)
{
    if (conninfo && is_readable(conninfo)) {
        return true;
    }
    return err_set(e, ERR_CONFIG,
                   "the database address is neither a URL "
                   "(postgres://user:password@host:5432/name) nor a list "
                   "(host=... dbname=...): check quotes, and percent-encode "
                   "special characters of the password");
}

/* Later words override earlier ones: those before dbname are defaults that a
 * conninfo may change, those behind it are not up for choice. */
PGconn *dial_start(const char *conninfo, const char *application_name,
                   struct err *e)
{
    const char *const words[] = {"fallback_application_name",
                                 "connect_timeout",
                                 "keepalives",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "dbname",
                                 "client_encoding",
                                 NULL};
    const char *const values[] = {
        application_name, "10",     "1",    "10", "5", "3",
        "30000",          conninfo, "UTF8", NULL};
    if (!check_conninfo(conninfo, e)) {
        return NULL;
    }
    PGconn *pg = PQconnectStartParams(words, values, 1);
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

/* Polls until it is connected, has failed or 10 s are over. */
static bool wait_for(PGconn *pg, struct err *e)
{
    usec end = clock_usec() + WAIT_USEC;
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        usec now = clock_usec();
        struct pollfd fd = {
            .fd = PQsocket(pg),
            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (now >= end) {
            return err_set(e, ERR_CONNECTION,
                           "cannot connect to PostgreSQL: "
                           "no answer within 10 s");
        }
        if (poll(&fd, 1, (int)((end - now) / 1000) + 1) > 0) {
            status = PQconnectPoll(pg);
        }
    }
    return status == PGRES_POLLING_OK || dial_error(pg, e);
}

PGconn *dial_wait(const char *conninfo, const char *application_name,
                  struct err *e)
{
    PGconn *pg = dial_start(conninfo, application_name, e);
    if (pg && !wait_for(pg, e)) {
        PQfinish(pg);
        pg = NULL;
    }
    return pg;
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
    if (!state) {
        return ERR_CONNECTION;
    }
    memcpy(e->sqlstate, state, STATE_LEN);
    e->sqlstate[STATE_LEN] = '\0';
    memmove(state, state + STATE_LEN + 2, strlen(state + STATE_LEN + 2) + 1);
    return sqlstate_class(e->sqlstate);
}

bool dial_error(const PGconn *pg, struct err *e)
{
    char text[TEXT_BYTES];
    struct err state = {0};
    snprintf(text, sizeof text, "%s", PQerrorMessage(pg));
    enum err_class class = take_state(text, &state);
    flatten(text);
    if (PQconnectionNeedsPassword(pg)) {
        class = ERR_CONFIG;
    }
    err_set(e, class, "cannot connect to PostgreSQL: %s", text);
    memcpy(e->sqlstate, state.sqlstate, sizeof e->sqlstate);
    return false;
}

bool dial_lost(const PGconn *pg, struct err *e)
{
    char text[TEXT_BYTES];
    snprintf(text, sizeof text, "%s", PQerrorMessage(pg));
    flatten(text);
    return err_set(e, ERR_CONNECTION, "connection to PostgreSQL lost: %s",
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

bool dial_result(const PGresult *r, struct err *e)
{
    const char *state = field(r, PG_DIAG_SQLSTATE);
    const char *text = field(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = field(r, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = field(r, PG_DIAG_MESSAGE_HINT);
    enum err_class class =
        dial_is_stale(r) ? ERR_CONFLICT : sqlstate_class(state);
    err_set(e, class, "%.320s%s%.200s%s%.120s",
            text[0] ? text : PQresultErrorMessage(r), detail[0] ? ": " : "",
            detail, hint[0] ? "; hint: " : "", hint);
    if (!text[0]) {
        flatten(e->text); /* libpq's own words end with a line feed */
    }
    snprintf(e->sqlstate, sizeof e->sqlstate, "%s", state);
    return false;
}

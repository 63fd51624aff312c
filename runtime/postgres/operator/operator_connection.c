/* See operator_connection.h. */
#include "postgres/operator/operator_connection.h"

#include <libpq-fe.h>
#include <string.h>

#include "model/deadlines.h"
#include "postgres/sql/schema_version.h"
#include "postgres/wire/dial.h"

enum { BINARY = 1 };

static bool is_one_of(const char *state, const char *const *list)
{
    while (*list && strcmp(*list, state) != 0) {
        list++;
    }
    return *list != NULL;
}

/* Always returns false. */
static bool failed(const struct operator_connection *c, const PGresult *r,
                   struct err *e)
{
    static const char *const missing[] = {"3F000", "42P01", "42703", "42883",
                                          NULL};
    char state[sizeof(e->sqlstate)];
    if (PQstatus(c->pg) == CONNECTION_BAD) {
        return dial_lost(c->pg, e);
    }
    dial_result(r, e);
    memcpy(state, e->sqlstate, sizeof(state));
    if (is_one_of(state, missing)) {
        err_set(e, ERR_SCHEMA,
                "%.300s: the tidemill schema of this database is missing or "
                "of an older version: run `tidemill schema %.200s --apply`",
                e->text, c->plan->path);
    } else if (strcmp(state, "42501") == 0) {
        err_set(e, ERR_SCHEMA,
                "%.300s: give this role the rights that `tidemill schema "
                "%.200s --operator %.60s` prints",
                e->text, c->plan->path, PQuser(c->pg));
    }
    memcpy(e->sqlstate, state, sizeof(state));
    return false;
}

static bool is_good(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
           status == PGRES_SINGLE_TUPLE;
}

struct params *operator_connection_params(struct operator_connection *c)
{
    params_clear(&c->params);
    return &c->params;
}

PGresult *operator_connection_ask(struct operator_connection *c,
                                  const char *sql, struct params *params,
                                  struct err *e)
{
    struct params *p = params ? params : operator_connection_params(c);
    PGresult *r;

    params_seal(p);
    r = PQexecParams(c->pg, sql, p->n, p->oids, p->values, p->lengths,
                     p->formats, BINARY);
    if (is_good(r)) {
        return r;
    }
    failed(c, r, e);
    PQclear(r);
    return NULL;
}

void operator_connection_free(PGresult *r)
{
    PQclear(r);
}

static bool run(struct operator_connection *c, const char *sql, struct err *e)
{
    PGresult *r = operator_connection_ask(c, sql, NULL, e);
    PQclear(r);
    return r != NULL;
}

/* Refused where another version would read or write the tables by other rules. */
static bool is_known(struct operator_connection *c, struct err *e)
{
    PGresult *r =
        operator_connection_ask(c, "SELECT " SQL_SCHEMA_VERSION, NULL, e);
    struct buf b = {0};
    const char *source = r ? PQgetvalue(r, 0, 0) : NULL;
    bool ok = r && schema_age(source) == SCHEMA_KNOWN;

    if (r && !ok) {
        schema_put_age(&b, source, c->plan->path);
        err_set(e, ERR_SCHEMA, "%s", buf_text(&b));
    }
    buf_close(&b);
    PQclear(r);
    return ok;
}

/* A statement may take as long as the reader of its rows does, but nobody waits
 * long for a lock. */
bool operator_connection_open(struct operator_connection *c,
                              const struct plan *p, const char *who,
                              struct err *e)
{
    *c = (struct operator_connection){.plan = p, .who = who};
    params_init(&c->params);
    c->pg = dial_wait(p->database.write, "tidemill operator", true,
                      LOCK_PEOPLE_MS, e);
    return c->pg && is_known(c, e);
}

bool operator_connection_look(struct operator_connection *c,
                              const struct plan *p, struct err *e)
{
    const char *read = p->database.read;

    *c = (struct operator_connection){.plan = p, .who = ""};
    params_init(&c->params);
    c->pg = dial_wait(read ? read : p->database.write, "tidemill check", !read,
                      LOCK_PEOPLE_MS, e);
    return c->pg && is_known(c, e);
}

void operator_connection_close(struct operator_connection *c)
{
    PQfinish(c->pg);
    c->pg = NULL;
    params_close(&c->params);
}

bool operator_connection_each(struct operator_connection *c, const char *sql,
                              struct params *params, operator_row_fn fn,
                              void *arg, struct err *e)
{
    bool ok;

    params_seal(params);
    ok = PQsendQueryParams(c->pg, sql, params->n, params->oids, params->values,
                           params->lengths, params->formats, BINARY) &&
         PQsetSingleRowMode(c->pg);
    if (!ok) {
        return dial_lost(c->pg, e);
    }
    for (PGresult *r; (r = PQgetResult(c->pg)); PQclear(r)) {
        if (!is_good(r)) {
            ok = failed(c, r, e);
        } else if (ok && PQntuples(r) > 0) {
            fn(r, arg);
        }
    }
    return ok;
}

bool operator_connection_begin(struct operator_connection *c, struct err *e)
{
    return run(c, "BEGIN", e);
}

bool operator_connection_commit(struct operator_connection *c, struct err *e)
{
    if (run(c, "COMMIT", e)) {
        return true;
    }
    return err_wrap(e, "the answer to COMMIT did not come, so look whether it "
                       "was done");
}

void operator_connection_rollback(struct operator_connection *c)
{
    PQclear(PQexec(c->pg, "ROLLBACK"));
}

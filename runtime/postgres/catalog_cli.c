/* The catalog for commands that wait: connect, do one thing, disconnect. */
#include <libpq-fe.h>

#include "postgres/catalog.h"
#include "postgres/dial.h"

static const usec CHECK_USEC = 30 * 1000000;

struct check {
    struct loop *loop;
    struct plan *plan;
    struct buf *out;
    int n_problems;
    bool ok;
    struct err error;
};

static void on_answer(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct check *k = arg;
    (void)c;
    k->ok = reply->ok;
    k->error = reply->error;
    if (reply->ok) {
        k->n_problems = catalog_compare(
            reply, k->plan,
            k->plan->database.read ? CATALOG_REPLICA : CATALOG_PRIMARY, k->out);
    } else {
        err_wrap(&k->error, "asking the database about its tables");
    }
    loop_stop(k->loop);
}

static void on_state(struct pgconn *c, void *arg)
{
    struct check *k = arg;
    if (pgconn_state(c) == PGCONN_IDLE) {
        catalog_ask(c, k->plan);
        pgconn_flush(c, CHECK_USEC, on_answer, k);
    } else {
        k->error = *pgconn_error(c);
        loop_stop(k->loop);
    }
}

bool catalog_check(struct plan *p, struct buf *out, int *n_problems,
                   struct err *e)
{
    struct check k = {.loop = loop_new(), .plan = p, .out = out};
    const struct plan_database *d = &p->database;
    struct pgtarget target = {.conninfo = d->read ? d->read : d->write,
                              .application_name = "tidemill check",
                              .timeouts = d->timeouts,
                              .must_write = !d->read};
    struct pgconn *c = pgconn_open(k.loop, &target, on_state, &k);
    loop_run(k.loop);
    pgconn_free(c);
    loop_free(k.loop);
    *n_problems = k.n_problems;
    if (!k.ok) {
        *e = k.error;
    }
    return k.ok;
}

/* One simple query, and so one transaction: all of it or nothing. */
bool catalog_apply(const char *conninfo, const char *sql, struct err *e)
{
    PGconn *pg = dial_wait(conninfo, "tidemill schema", e);
    if (!pg) {
        return false;
    }
    PGresult *r = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(r);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
              status == PGRES_EMPTY_QUERY;
    if (!ok) {
        dial_result(r, e);
    }
    PQclear(r);
    PQfinish(pg);
    return ok;
}

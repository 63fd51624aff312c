/* The catalog for commands that wait: connect, do one thing, disconnect. */
#include <libpq-fe.h>

#include "model/deadlines.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"
#include "postgres/store/position.h"
#include "postgres/wire/dial.h"

struct check {
    struct loop *loop;
    const struct plan *plan;
    struct plan_facts facts;
    enum catalog_server server;
    struct buf *out;
    struct buf *sql; /* see catalog_differ() */
    struct catalog_found found;
    bool ok;
    struct err error;
};

/* [q]: whose table it is about; NULL: the pipeline. */
static void put_warning(struct check *k, const struct plan_projection *q,
                        const char *what)
{
    struct catalog_found *f = &k->found;
    struct catalog_finding w = {.code = "table",
                                .is_warning = true,
                                .file = q ? q->file : k->plan->path,
                                .table = q ? q->table : NULL,
                                .line = q ? q->line : 0};

    buf_printf(k->out,
               w.line > 0 ? "warning: %s:%d: " : "warning: %s: ", w.file,
               w.line);
    w.what_from = k->out->len;
    buf_puts(k->out, what);
    w.what_to = k->out->len;
    buf_puts(k->out, "\n");
    if (k->sql) {
        f->list = mem_grow(f->list, (f->n + 1) * sizeof(*f->list));
        f->list[f->n++] = w;
    }
}

/* Rows that no position tells of: whose are they? */
static void warn_of_rows(struct check *k, const struct pgreply *r)
{
    const struct plan *p = k->plan;
    const struct pg_result *owners = r->results[p->n_projections];
    const char *other = position_other(owners, p);
    bool has_any = position_has_any(owners, p);
    struct buf what = {0};

    if (has_any && p->source.onto_rows) {
        buf_printf(&what,
                   "onto_rows = true has done its work: pipeline "
                   "'%s' has begun. Take it out, or another name would count "
                   "all records once more",
                   p->name);
        put_warning(k, NULL, buf_text(&what));
    }
    for (uint32_t i = 0; i < p->n_projections && !has_any; i++) {
        const struct plan_projection *q = &p->projections[i];

        if (catalog_has_rows(r->results[i])) {
            buf_clear(&what);
            buf_printf(&what,
                       "table %s has rows, but pipeline '%s' "
                       "has no position yet%s%s%s%s",
                       q->table, p->name, other ? ": was it renamed? '" : "",
                       other ? other : "",
                       other ? "' has positions of these topics" : "",
                       plan_can_repeat(q) ? ""
                                          : ". `start` of kafka{} says "
                                            "what is to be done");
            put_warning(k, q, buf_text(&what));
        }
    }
    buf_close(&what);
}

static void on_rows(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct check *k = arg;
    (void)c;
    if (reply->ok) {
        warn_of_rows(k, reply);
    }
    loop_stop(k->loop);
}

/* What is not written as its own type. */
static void note_casts(const struct check *k)
{
    for (uint32_t i = 0; i < k->plan->n_projections; i++) {
        const struct plan_projection *p = &k->plan->projections[i];
        const struct column_cast *casts = k->facts.tables[i].casts;

        for (uint32_t c = 0; casts && c < p->n_columns; c++) {
            if (casts[c].to) {
                buf_printf(k->out,
                           "note: %s:%d: table %s: column %s: text, cast to "
                           "%s%s\n",
                           p->file, p->columns[c].line, p->table,
                           p->columns[c].name, casts[c].type,
                           casts[c].is_unread && p->kind == KIND_FOLD
                               ? ": no handler can read it"
                               : "");
            }
        }
    }
}

static void on_answer(struct pgconn *c, const struct pgreply *reply, void *arg)
{
    struct check *k = arg;
    k->ok = reply->ok;
    k->error = reply->error;
    if (reply->ok) {
        k->found = catalog_differ(reply, k->plan, &k->facts, k->server, k->out,
                                  k->sql);
    } else {
        err_wrap(&k->error, "asking the database about its tables");
    }
    if (!k->ok || k->found.n_problems > 0 || k->server == CATALOG_OWNER) {
        loop_stop(k->loop);
        return;
    }
    note_casts(k);
    catalog_ask_rows(c, k->plan);
    position_owners(c, k->plan);
    pgconn_flush(c, PG_ANSWER_USEC, on_rows, k);
}

static void on_state(struct pgconn *c, void *arg)
{
    struct check *k = arg;
    if (pgconn_state(c) == PGCONN_IDLE) {
        catalog_ask(c, k->plan);
        pgconn_flush(c, PG_ANSWER_USEC, on_answer, k);
    } else {
        k->error = *pgconn_error(c);
        loop_stop(k->loop);
    }
}

static bool ask(struct check *k, const char *conninfo, struct err *e)
{
    struct pgtarget target = {.conninfo = conninfo,
                              .application_name = "tidemill check",
                              .timeouts = k->plan->database.timeouts,
                              .must_write = k->server != CATALOG_REPLICA};

    k->loop = loop_new();
    facts_open(&k->facts, k->plan);
    struct pgconn *c = pgconn_open(k->loop, &target, on_state, k);
    loop_run(k->loop);
    pgconn_free(c);
    loop_free(k->loop);
    facts_close(&k->facts);
    if (!k->ok) {
        *e = k->error;
    }
    return k->ok;
}

bool catalog_look(const struct plan *p, enum catalog_server server,
                  struct buf *out, struct buf *sql, struct catalog_found *found,
                  struct err *e)
{
    struct check k = {.plan = p, .server = server, .out = out, .sql = sql};
    bool ok = ask(
        &k, server == CATALOG_REPLICA ? p->database.read : p->database.write,
        e);

    *found = k.found;
    return ok;
}

/* One simple query, and so one transaction: all of it or nothing. */
bool catalog_apply(const char *conninfo, const char *sql, struct err *e)
{
    PGconn *pg = dial_wait(conninfo, "tidemill schema", true, 0, e);
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

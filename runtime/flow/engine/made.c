/* See made.h. */
#include "flow/engine/made.h"

#include <string.h>

#include "flow/engine/beginning.h"
#include "flow/engine/engine.h"
#include "postgres/wire/sqlstate.h"

enum { UNMADE_MOST = 100 };

static void on_created(struct pgconn *conn, const struct pgreply *r, void *arg);

static void send_made(struct engine *g)
{
    struct claim *c = &g->claim;

    claim_begin(g);
    for (uint32_t i = 0; i < c->n_made; i++) {
        position_create(c->conn, g->worker.now->plan, &c->made[i]);
    }
    pgconn_add_commit(c->conn);
    c->asked_at = worker_now(&g->worker);
    pgconn_flush(c->conn, claim_deadline(g), on_created, g);
}

/* Other lanes begin without it only if it would begin there later too. */
static void refuse_made(struct engine *g, const struct pgreply *r)
{
    struct claim *c = &g->claim;
    uint32_t i = (uint32_t)(r->failed - c->first);
    struct position *p = &c->made[i];
    struct err e = r->error;
    uint32_t k = 0;

    c->is_hasty |= sqlstate_is_lock(e.sqlstate);
    err_wrap(&e, "%s/%d: its row of tidemill.lane cannot be made", p->topic,
             p->partition);
    if (++c->n_unmade > UNMADE_MOST || !beginning_may_lack(g, p)) {
        claim_failed(g, &e);
        return;
    }
    while (k < c->n && !position_is_same_lane(&c->lanes[k], p)) {
        k++;
    }
    if (k < c->n) {
        claim_leave_out(g, k, &e);
    }
    c->n_made--;
    memmove(p, p + 1, (c->n_made - i) * sizeof(*p));
    if (c->n == 0) {
        claim_none(g);
    } else {
        send_made(g);
    }
}

static void on_created(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct claim *c = &g->claim;

    (void)conn;
    if (claim_is_of_row(g, r, c->n_made)) {
        refuse_made(g, r);
    } else if (!claim_has_failed(g, r)) {
        claim_all(g);
    }
}

static void on_asked(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct err e;

    (void)conn;
    if (claim_has_failed(g, r)) {
        return;
    }
    if (!beginning_decide(g, r, &e)) {
        claim_failed(g, &e);
    } else if (g->claim.n == 0) {
        claim_none(g);
    } else {
        send_made(g);
    }
}

static void on_rolled_back(struct pgconn *conn, const struct pgreply *r,
                           void *arg)
{
    (void)conn;
    if (!claim_has_failed(arg, r)) {
        made_begin(arg);
    }
}

/* What beginning_ask wants to know has no place in a transaction that failed. */
void made_begin(struct engine *g)
{
    struct claim *c = &g->claim;

    claim_roll_back(c);
    if (c->first == 0) {
        beginning_ask(g);
    }
    pgconn_flush(c->conn, claim_deadline(g),
                 c->first == 0 ? on_asked : on_rolled_back, g);
}

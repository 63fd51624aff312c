/*
 * Rows for lanes that have none, in the middle of a claim: what they are is
 * decided by claim_beginning.c, all are made in one transaction, and the claim
 * goes on with them (claim_all). A row that the database refuses leaves out its
 * lane.
 */
#include <string.h>

#include "flow/claim/claim_part.h"
#include "postgres/wire/sqlstate.h"

enum { UNMADE_MOST = 100 };

static void on_created(struct pgconn *conn, const struct pgreply *r, void *arg);

static void send_made(struct claim *c)
{
    claim_begin(c);
    for (uint32_t i = 0; i < c->n_made; i++) {
        position_create(c->conn, c->worker->now->plan, &c->made[i]);
    }
    pgconn_add_commit(c->conn);
    c->asked_at = worker_now(c->worker);
    pgconn_flush(c->conn, claim_deadline(c), on_created, c);
}

/* Other lanes begin without it only if it would begin there later too. */
static void refuse_made(struct claim *c, const struct pgreply *r)
{
    uint32_t i = (uint32_t)(r->failed - c->first);
    struct position *p = &c->made[i];
    struct err e = r->error;
    uint32_t k = 0;

    c->is_hasty |= sqlstate_is_lock(e.sqlstate);
    err_wrap(&e, "%s/%d: its row of tidemill.lane cannot be made", p->topic,
             p->partition);
    if (++c->n_unmade > UNMADE_MOST || !beginning_may_lack(c, p)) {
        claim_failed(c, &e);
        return;
    }
    while (k < c->n && !position_is_same_lane(&c->lanes[k], p)) {
        k++;
    }
    if (k < c->n) {
        claim_leave_out(c, k, &e);
    }
    c->n_made--;
    memmove(p, p + 1, (c->n_made - i) * sizeof(*p));
    if (c->n == 0) {
        claim_none(c);
    } else {
        send_made(c);
    }
}

static void on_created(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;

    (void)conn;
    if (claim_is_of_row(c, r, c->n_made)) {
        refuse_made(c, r);
    } else if (!claim_has_failed(c, r)) {
        claim_all(c);
    }
}

static void on_asked(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;
    struct err e;

    (void)conn;
    if (claim_has_failed(c, r)) {
        return;
    }
    if (!beginning_decide(c, r, &e)) {
        claim_failed(c, &e);
    } else if (c->n == 0) {
        claim_none(c);
    } else {
        send_made(c);
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
void made_begin(struct claim *c)
{
    claim_roll_back(c);
    if (c->first == 0) {
        beginning_ask(c);
    }
    pgconn_flush(c->conn, claim_deadline(c),
                 c->first == 0 ? on_asked : on_rolled_back, c);
}

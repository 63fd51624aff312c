/* How long a claim waits in the server, see claim.h. */
#include <stdio.h>

#include "flow/claim/claim_part.h"
#include "model/deadlines.h"

enum {
    ROW_MS = 5000 /* for a row, when its lane is not alone */
};

/* A lane that is alone gets more time with each claim of it. */
static uint32_t row_ms(const struct claim *c, uint32_t statement_ms)
{
    bool is_alone = c->some == 1 && c->at < c->n;
    uint32_t n = is_alone ? c->claimed[c->at]->left_out.n : 0;
    uint32_t ms = ROW_MS << (n < 2 ? n : 2);

    return statement_ms > 0 && ms > statement_ms ? statement_ms : ms;
}

/* Above what ends each wait in the server. */
usec claim_deadline(const struct claim *c)
{
    const struct plan_timeouts *t = &c->worker->now->plan->database.timeouts;

    return (t->lock_ms + row_ms(c, t->statement_ms)) * 1000ULL + PG_CLAIM_USEC;
}

static uint32_t lock_ms(const struct claim *c, uint32_t most,
                        uint32_t statement_ms)
{
    uint32_t ms = c->is_hasty     ? LOCK_HASTY_MS
                  : c->n_made > 0 ? LOCK_MAKE_MS
                                  : LOCK_SHORT_MS;

    ms = most > 0 && ms > most ? most : ms;
    return ms > statement_ms / 4 * 3 ? statement_ms / 4 * 3 : ms;
}

/* Behind a refusal the transaction is still there, and failed. */
void claim_roll_back(struct claim *c)
{
    c->first = pgconn_in_transaction(c->conn);
    if (c->first) {
        pgconn_add_sql(c->conn, "ROLLBACK");
    }
}

void claim_begin(struct claim *c)
{
    const struct plan_timeouts *t = &c->worker->now->plan->database.timeouts;
    uint32_t ms = row_ms(c, t->statement_ms);
    char text[160];

    claim_roll_back(c);
    pgconn_add_sql(c->conn, "BEGIN");
    c->first += 2;
    snprintf(text, sizeof(text),
             "SELECT set_config('lock_timeout', '%u', true), "
             "set_config('statement_timeout', '%u', true)",
             lock_ms(c, t->lock_ms, ms), ms);
    pgconn_add_sql(c->conn, text);
}

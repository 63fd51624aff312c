#pragma once
/*
 * One connection in libpq's pipeline mode, driven by the loop.
 *
 * A user queues statements (pgconn_add), then pgconn_flush() sends them with
 * a Sync and calls back once, when every result up to the Sync is there or
 * the connection is lost. After an error the server skips the rest up to the
 * Sync, so `failed` names the first statement that failed and no later one
 * ran. Between flushes a transaction stays open if BEGIN was sent.
 *
 * States: CONNECTING -> SETTING_UP -> IDLE <-> BUSY, and from each to DEAD.
 * One function, in conn.c, moves a connection between them.
 *
 * Statements are prepared on first use (prepared.h) and parameters go in binary;
 * results come back in binary.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "postgres/wire/params.h"
#include "postgres/wire/result.h"
#include "postgres/wire/target.h"

struct pgconn;

/* The connection became idle or died outside a flush. */
typedef void (*pgconn_state_fn)(struct pgconn *c, void *arg);

enum pgconn_state {
    PGCONN_CONNECTING,
    PGCONN_SETTING_UP,
    PGCONN_IDLE,
    PGCONN_BUSY,
    PGCONN_DEAD
};

/* Never NULL; a connection that cannot start is DEAD at the next turn. [t]
 * must outlive it; its conninfo may be exchanged at any time. */
struct pgconn *pgconn_open(struct loop *l, struct pgtarget *t,
                           pgconn_state_fn on_state, void *arg);
void pgconn_free(struct pgconn *c);
enum pgconn_state pgconn_state(const struct pgconn *c);
/* Why it is DEAD. */
const struct err *pgconn_error(const struct pgconn *c);

/* Plain SQL without parameters, such as BEGIN and ROLLBACK. */
void pgconn_add_sql(struct pgconn *c, const char *sql);
/* COMMIT, of which the reply tells whether it left us, and what it came to. */
void pgconn_add_commit(struct pgconn *c);
/* Its parameters, without any: to be filled, and given to pgconn_add. */
struct params *pgconn_params(struct pgconn *c);
/* The index of its result in the reply. [params]: NULL: none; they may be given
 * to the next one too. [series]: it is of a series of texts, in which a new one
 * takes the place of the last; 0: of none; PGCONN_VARIED: it is one of so many
 * statements as the data likes, see prepared.h. */
int pgconn_add_series(struct pgconn *c, const char *sql, uint32_t series,
                      struct params *params);
static inline int pgconn_add(struct pgconn *c, const char *sql,
                             struct params *params)
{
    return pgconn_add_series(c, sql, 0, params);
}
/* By how much the answers of the next flush may make this process grow, about;
 * beyond it the connection is given up. 0, as it is unsaid: there is no bound. */
void pgconn_limit(struct pgconn *c, uint64_t bytes);
void pgconn_flush(struct pgconn *c, usec deadline, pgconn_fn fn, void *arg);
/* True while a transaction is open or failed on it. */
bool pgconn_in_transaction(const struct pgconn *c);

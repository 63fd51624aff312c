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
 * Statements are prepared on first use by their id and parameters go in
 * binary; results come back in binary.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "model/plan.h"
#include "postgres/wire/params.h"

struct pgconn;
struct pg_result; /* libpq's PGresult */

/* Where connections go, and how long anything on them may take. */
struct pgtarget {
    const char *conninfo; /* may hold a password */
    const char *application_name;
    struct plan_timeouts timeouts; /* connect_ms is for each address */
    bool must_write;   /* only a server that takes writes will do, unless the
                         conninfo has a target_session_attrs of its own */
    uint32_t host;     /* -- whose turn it is: see hosts.h */
    uint32_t address;  /* of that host */
    bool for_people;   /* see session.h */
    bool starts_plain; /* -- the server takes no options of ours at start-up */
};

/* An attempt at all of them. */
struct pgturns {
    uint32_t n_hosts;
    uint32_t n_addresses; /* of the host whose turn it is */
    uint32_t n_tried;     /* hosts that had their turn */
};

struct pgstmt {
    const char *name; /* unique for the sql text on this connection */
    const char *sql;
};

/* What a flush came to. Results are valid inside the callback only. */
struct pgreply {
    bool ok;
    int n_results;
    struct pg_result **results; /* one a statement, in order */
    int failed;                 /* index of the statement that failed; -1: the
                           connection itself */
    bool commit_sent;        /* a COMMIT was among the statements and left us */
    bool commit_rolled_back; /* COMMIT answered ROLLBACK */
    bool is_too_large;       /* it took more memory than there is, or than
                          pgconn_limit: less at a time may fit */
    bool is_over;            /* than pgconn_limit */
    struct err error;
};
typedef void (*pgconn_fn)(struct pgconn *c, const struct pgreply *reply,
                          void *arg);
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
 * to the next one too. [version]: of a name whose text changes: the new one takes
 * the place of the last; 0: it never does; PGCONN_VARIED: it is one of so many
 * statements as the data likes, see prepared.h. */
enum { PGCONN_VARIED = -1 };
int pgconn_add_version(struct pgconn *c, const struct pgstmt *s,
                       uint32_t version, struct params *params);
static inline int pgconn_add(struct pgconn *c, const struct pgstmt *s,
                             struct params *params)
{
    return pgconn_add_version(c, s, 0, params);
}
/* By how much the answers of the next flush may make this process grow, about;
 * beyond it the connection is given up. 0, as it is unsaid: there is no bound. */
void pgconn_limit(struct pgconn *c, uint64_t bytes);
void pgconn_flush(struct pgconn *c, usec deadline, pgconn_fn fn, void *arg);
/* True while a transaction is open or failed on it. */
bool pgconn_in_transaction(const struct pgconn *c);

int pg_rows(const struct pg_result *r);
/* NULL for SQL NULL. */
const char *pg_value(const struct pg_result *r, int row, int column, int *len);
int64_t pg_int(const struct pg_result *r, int row,
               int column); /* int2/4/8, bool */
/* Text of a column in text, name or varchar; "" for NULL. */
const char *pg_str(const struct pg_result *r, int row, int column);

#pragma once
/*
 * A session for the verbs that a person calls. Each call waits for its answer,
 * so nothing here may run in a worker. Values come in binary: a query casts to
 * text what it wants as text. What
 * schema tidemill lacks, and rights that are missing, are said with what mends
 * them.
 */
#include "base/err.h"
#include "model/plan.h"
#include "postgres/wire/params.h"

struct pg_conn;
struct pg_result;

struct operator_connection {
    struct pg_conn *pg;      /* owned */
    const struct plan *plan; /* borrowed */
    const char *who;         /* borrowed: user@host, for tidemill.audit */
    struct params params;    /* of the next statement */
};

typedef void (*operator_row_fn)(const struct pg_result *row, void *arg);

/* Connects to the pipeline's primary. operator_connection_close() also after a
 * failure. */
bool operator_connection_open(struct operator_connection *c,
                              const struct plan *p, const char *who,
                              struct err *e) MUSTCHECK;
/* The same, to the server that `read` names, if any: for who changes nothing, and to
 * whom what is a little old will do. */
bool operator_connection_look(struct operator_connection *c,
                              const struct plan *p, struct err *e) MUSTCHECK;
void operator_connection_close(struct operator_connection *c);
/* Without any, to be filled and given to a question, or several; NULL: none. */
struct params *operator_connection_params(struct operator_connection *c);
/* One statement. NULL: see [e]. Else the caller frees it. */
struct pg_result *operator_connection_ask(struct operator_connection *c,
                                          const char *sql,
                                          struct params *params,
                                          struct err *e) MUSTCHECK;
void operator_connection_free(struct pg_result *r);
/* Calls [fn] for each row as it comes, so memory holds one at a time. */
bool operator_connection_each(struct operator_connection *c, const char *sql,
                              struct params *params, operator_row_fn fn,
                              void *arg, struct err *e) MUSTCHECK;
bool operator_connection_begin(struct operator_connection *c,
                               struct err *e) MUSTCHECK;
bool operator_connection_commit(struct operator_connection *c,
                                struct err *e) MUSTCHECK;
/* Undoes the transaction; the error that led to it stays the one to tell. */
void operator_connection_rollback(struct operator_connection *c);

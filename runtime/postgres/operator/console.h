#pragma once
/*
 * A session for the verbs that a person calls. Each call waits for its answer,
 * so nothing here may run in a worker. Values come in binary: a query casts to
 * text what it wants as text. What
 * schema tidemill lacks, and rights that are missing, are said with the cure.
 */
#include "base/err.h"
#include "model/plan.h"
#include "postgres/wire/params.h"

struct pg_conn;
struct pg_result;

struct console {
    struct pg_conn *pg;      /* owned */
    const struct plan *plan; /* borrowed */
    const char *who;         /* borrowed: user@host, for tidemill.audit */
    struct params params;    /* of the next statement */
};

typedef void (*console_fn)(const struct pg_result *row, void *arg);

/* Connects to the pipeline's primary. console_close() also after a failure. */
bool console_open(struct console *c, const struct plan *p, const char *who,
                  struct err *e) MUSTCHECK;
void console_close(struct console *c);
/* Without any, to be filled and given to a question, or several; NULL: none. */
struct params *console_params(struct console *c);
/* One statement. NULL: see [e]. Else the caller frees it. */
struct pg_result *console_ask(struct console *c, const char *sql,
                              struct params *params, struct err *e) MUSTCHECK;
void console_free(struct pg_result *r);
/* Calls [fn] for each row as it comes, so memory holds one at a time. */
bool console_each(struct console *c, const char *sql, struct params *params,
                  console_fn fn, void *arg, struct err *e) MUSTCHECK;
bool console_begin(struct console *c, struct err *e) MUSTCHECK;
bool console_commit(struct console *c, struct err *e) MUSTCHECK;
/* Undoes the transaction; the error that led to it stays the one to tell. */
void console_rollback(struct console *c);

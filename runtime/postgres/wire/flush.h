#pragma once
/*
 * The statements between two Syncs of a connection, and what the server
 * answered. Answers come in the order of the steps that were sent; a
 * statement has one step, and more when it is prepared first. After the first
 * failure the server skips the rest, so `failed` and `error` are the first's
 * and are never overwritten by a later one.
 */
#include <libpq-fe.h>

#include "base/err.h"
#include "base/loop.h"
#include "postgres/wire/result.h"

/* FLUSH_RUNS: the statement itself; the others are for its name. */
enum flush_does { FLUSH_RUNS, FLUSH_PREPARES, FLUSH_FORGETS };

struct flush_step {
    int statement; /* index of the statement that it belongs to */
    enum flush_does does;
    uint32_t number; /* of the name, see prepared.h; 0 for FLUSH_RUNS */
    bool is_ok;
};

struct flush {
    struct flush_step *steps; /* owned */
    int n_steps;
    int cap_steps;
    int n_done;         /* steps that are answered */
    PGresult **results; /* owned; NULL: not answered */
    int n_results;
    int cap_results;
    int commit; /* index of COMMIT; -1: none */
    bool is_commit_sent;
    bool is_rolled_back; /* COMMIT answered ROLLBACK */
    bool has_failed;
    bool is_last;  /* the failure dooms the connection */
    bool is_fatal; /* the failure was the server's last word */
    int failed;
    struct err error;
    bool is_too_large; /* the failure was one of memory, */
    bool is_over;      /* by flush_is_over */
    uint64_t n_bytes;  /* of parameters */
    uint64_t most;     /* pgconn_limit */
    uint64_t at_first; /* bytes of this process when it was first looked at */
    uint32_t n_reads;
    usec deadline;
    pgconn_fn fn; /* NULL: statements are still being added */
    void *arg;
};

void flush_init(struct flush *f);
void flush_close(struct flush *f);
/* A new statement; its index. */
int flush_add(struct flush *f);
/* One more answer is due. */
void flush_expect(struct flush *f, int statement, enum flush_does does,
                  uint32_t number);
/* One answer to the current step; takes over [r]. False: libpq made it up,
 * since the connection is gone; or none was due, so it is what the server says
 * as it ends the session (is_fatal, error). */
bool flush_take(struct flush *f, const PGconn *pg, PGresult *r) MUSTCHECK;
/* The current step is through. False: there was none. */
bool flush_next(struct flush *f);
/* All is answered: is the connection of no use any more? */
bool flush_is_end(const struct flush *f);
/* Something was read: is that too much by now? Then [e] says so. */
bool flush_is_over(struct flush *f, struct err *e) MUSTCHECK;
/* The connection is gone. */
void flush_lost(struct flush *f, const struct err *why);
void flush_reply(const struct flush *f, struct pgreply *out);

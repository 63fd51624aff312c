#pragma once
/*
 * The part of libpq that the runtime calls, and the server processes behind it.
 * What a client sends arrives in order after a while; each statement takes a
 * step, waits for locks, and may fail; answers go back with the Sync.
 */
#include "db.h"

/* An answer: libpq's PGresult. */
struct pg_result {
    int status; /* ExecStatusType */
    int n_columns;
    int n_rows;
    int cap;
    struct cell {
        int at; /* in [bytes]; -1: NULL */
        int len;
    } * cells;   /* owned */
    char *bytes; /* owned */
    int n_bytes, cap_bytes;
    uint32_t types[64];
    char sqlstate[6];
    const char *severity;
    const char *from; /* function in the server */
    char text[200];
    char tag[16];
};

struct pg_result *answer_new(int n_columns);
void answer_int8(struct pg_result *r, int64_t v);
void answer_int4(struct pg_result *r, int32_t v);
void answer_bool(struct pg_result *r, bool v);
void answer_xid(struct pg_result *r, uint32_t v);
void answer_text(struct pg_result *r, const char *s);
void answer_null(struct pg_result *r);
/* One row of one column. */
struct pg_result *answer_one_null(void);
/* The statement fails. */
struct pg_result *answer_error(const char *sqlstate, const char *text);
/* REPEATABLE READ, and it changed since: see db_is_stale(). */
struct pg_result *answer_stale(void);

struct statement;

/* A parameter, binary. */
struct param {
    const char *p; /* NULL: NULL */
    int len;
};

/* What one statement is to do. */
struct call {
    const struct statement *s;
    struct param params[32];
    int n_params;
};

/* Recognises a text; the same one gives the same. Ends the run when it does not
 * know it. */
const struct statement *statement_of(const char *sql);
enum statement_verb {
    VERB_BEGIN,
    VERB_BEGIN_SNAPSHOT,
    VERB_COMMIT,
    VERB_ROLLBACK,
    VERB_LOCK_TIMEOUT,
    VERB_OTHER
};
enum statement_verb statement_verb(const struct statement *s, uint32_t *number);
/* A statement of that table. */
bool statement_uses(const struct statement *s, enum table t);
const char *statement_name(const struct statement *s);
/* Runs it; NULL: it waits for a lock, and is to be run again. */
struct pg_result *statement_run(struct tx *t, const struct call *c);

/* ---- what the world does to it ---- */

/* One of the connections, by chance, is lost in one of the ways. */
void server_lose_one(void);
/* All server processes are gone, and nobody is let in until then. */
void server_down(usec until);
bool server_is_down(void);
uint32_t server_sessions(void);

#pragma once
/* What the server answers: one reply a flush, a result of it a statement. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pgconn;
struct pg_result; /* libpq's PGresult */

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

int pg_rows(const struct pg_result *r);
/* NULL for SQL NULL. */
const char *pg_value(const struct pg_result *r, int row, int column, int *len);
int64_t pg_int(const struct pg_result *r, int row,
               int column); /* int2/4/8, bool */
/* Text of a column in text, name or varchar; "" for NULL. */
const char *pg_str(const struct pg_result *r, int row, int column);

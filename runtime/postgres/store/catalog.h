#pragma once
/*
 * The contract with the database: schema tidemill, tables, columns, types,
 * keys and privileges, compared with the plan before any work is done.
 */
#include "base/buf.h"
#include "base/err.h"
#include "model/facts.h"
#include "model/plan.h"
#include "postgres/wire/conn.h"

/* Who is asked: the primary must be writable, a read replica need not. A
 * CATALOG_OWNER made the tables, as another role than the run's: what that may do
 * is not looked at. */
enum catalog_server { CATALOG_PRIMARY, CATALOG_REPLICA, CATALOG_OWNER };

/*
 * Compares. Each problem is one line in [out]: "file:line: table balances: no
 * column owner (text): ALTER TABLE ..."; warnings begin with "warning: ".
 * Returns the number of problems that are not warnings. Sets of the facts what
 * must be given and the depths; without problems also schemas and oids, and then
 * another table of a name is a problem.
 */
int catalog_compare(const struct pgreply *r, const struct plan *p,
                    struct plan_facts *facts, enum catalog_server server,
                    struct buf *out) MUSTCHECK;

/* The same, with the statements that mend it in [sql], as psql runs them; a
 * problem that no SQL mends is a comment there. NULL: not wanted. */
struct catalog_finding {
    const char *code; /* "database", "table", "column" */
    bool is_warning;
    const char *file, *table; /* borrowed from the plan; table may be NULL */
    int line;
    size_t what_from, what_to; /* in [out], after the place, without the '\n' */
    size_t sql_from, sql_to;   /* in [sql] */
};
struct catalog_found {
    int n_problems, n_unmended;
    struct catalog_finding *list; /* the caller frees it; none without [sql] */
    uint32_t n;
};
struct catalog_found catalog_differ(const struct pgreply *r,
                                    const struct plan *p,
                                    struct plan_facts *facts,
                                    enum catalog_server server, struct buf *out,
                                    struct buf *sql);

/* What the tables have by which a row may not be written though nobody changed
 * it: triggers, policies, rules, child tables, actions of foreign keys. Owned by
 * the caller; NULL: nothing. */
char *catalog_causes(const struct pgreply *r, const struct plan *p);
/* The same of tidemill.lane and tidemill.dead_letter. */
char *catalog_own_causes(const struct pgreply *r);
/* Row-level security applies to the role on one of the tables. */
bool catalog_hides(const struct pgreply *r, const struct plan *p);

/* Blocking helpers of `check` and `schema`: connect, run, disconnect.
 * catalog_look() is catalog_differ() with a [server] of the plan: the one of
 * `read`, which it must have, for CATALOG_REPLICA, else the one that is written. */
bool catalog_look(const struct plan *p, enum catalog_server server,
                  struct buf *out, struct buf *sql, struct catalog_found *found,
                  struct err *e) MUSTCHECK;
bool catalog_apply(const char *conninfo, const char *sql,
                   struct err *e) MUSTCHECK;

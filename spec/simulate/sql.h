#pragma once
/*
 * What the statements of the runtime do, each known by its text (sql.c): to
 * tidemill.lane (lanes.c) and tidemill.dead_letter (aside.h), or what they ask
 * the catalogue (catalog.c). Those of a table of the pipeline say themselves
 * what they do to which columns (table.c).
 */
#include "pq.h"

enum kind {
    /* -- transactions and sessions */
    SQL_BEGIN,
    SQL_SNAPSHOT,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_LOCK_TIMEOUT,
    SQL_SESSION,
    SQL_SESSION_LOOK,
    /* -- tidemill.lane */
    SQL_CLAIM,
    SQL_CREATE,
    SQL_FIRST,
    SQL_HOLDER,
    SQL_MOVE,
    SQL_FENCE,
    SQL_SETTLE,
    SQL_HALT,
    SQL_NOTE_HALT,
    SQL_EPOCHS,
    SQL_LIST,
    SQL_OWNERS,
    SQL_FOREIGN,
    /* -- tidemill.dead_letter */
    SQL_PUT,
    SQL_END,
    SQL_REST,
    SQL_KEYS,
    SQL_WANTED,
    SQL_ASK,
    /* -- the catalogue */
    SQL_SHAPE,
    SQL_CHECK,
    SQL_SERVER,
    SQL_TABLE,
    SQL_COLUMNS,
    SQL_INDEXES,
    SQL_PARENTS,
    SQL_CAUSES,
    SQL_LOUD,
    /* -- tables */
    SQL_LOAD,
    SQL_UPDATE,
    SQL_INSERT,
    SQL_DELETE,
    SQL_VERIFY,
    SQL_MERGE,
    SQL_APPEND,
    SQL_KINDS
};

enum { COLUMNS_MOST = 6 };

struct statement {
    struct statement *next;
    char *sql; /* owned */
    enum kind kind;
    uint32_t number; /* SET LOCAL lock_timeout; of a check: faults_shape() */
    /* -- what its text asks for, so that a text that asks for less is met */
    bool by_epoch, by_offset, by_xmin;
    bool locks;   /* what it reads */
    bool demands; /* tidemill.must() holds the whole against what was meant */
    /* -- of tables */
    enum table table;
    int columns[COLUMNS_MOST]; /* of the parameters; see struct shown */
    int n_columns;
    bool has_xmin;
};

/* A table of the pipeline. */
struct shown {
    const char *name;
    int n_key; /* the first columns */
    int n_columns;
    struct {
        const char *name;
        const char *type; /* text for keys of text, else bigint */
    } columns[COLUMNS_MOST];
};
extern const struct shown shown[TABLES];

/* Fills what a statement of a table says; false: it is none. */
bool table_parse(struct statement *s);
struct pg_result *table_run(struct tx *t, const struct call *c);
struct pg_result *lanes_run(struct tx *t, const struct call *c);
struct pg_result *catalog_run(const struct tx *t, const struct call *c);

/* -- parameters -- */

/* Of the binary array [at]: how many, and each. */
struct elements {
    uint32_t n;
    const char *next;
};
struct elements elements_of(const struct call *c, int at);
/* NULL: NULL; else *len bytes. */
const char *element_next(struct elements *e, int *len);
int64_t element_int(struct elements *e, bool *is_null);
int64_t param_int(const struct call *c, int at);
const char *param_text(const struct call *c, int at);
/* One row of one column: what tidemill.must() answers, where it is asked. */
struct pg_result *must_hold(const struct call *c, bool ok,
                            const char *sqlstate);

#pragma once
/*
 * What the parts of the comparison share: the lines for people, and the place
 * that each names.
 */
#include "model/facts.h"
#include "postgres/store/catalog.h"
#include "postgres/store/catalog_ask.h"

/* One comparison. */
struct catalog_report {
    struct buf *out;
    int n_problems;
    const struct plan *plan;
    const struct plan_projection *p; /* NULL: about the server */
    struct plan_facts *all;          /* facts of all tables */
    struct table_facts *facts;       /* of its table */
    int line;         /* of the column that it is about; 0: the projection's */
    const char *user; /* role of the connection */
    enum catalog_server server;
    struct buf *sql;  /* what mends it, as psql runs it; NULL: not wanted */
    size_t line_from; /* the problem in hand in [out], while nothing in [sql] */
    bool is_open;     /* mends it */
    struct catalog_finding *list; /* owned; [n], the last one is in hand */
    uint32_t n;
    bool has_schema; /* [sql] holds that of schema tidemill */
    bool has_new;    /* a table or a column of the projection is missing */
    int n_unmended;  /* problems that no SQL mends: comments in [sql] */
};

/* What [out] has from [from] on is a statement that mends the problem; [note]
 * is a comment before it, or NULL. */
void report_mends(struct catalog_report *r, size_t from, const char *note);
/* The same of a statement that the line does not show as it is. */
void report_mends_by(struct catalog_report *r, const char *note,
                     const char *sql);
/* "ALTER TABLE ... ALTER COLUMN ..." without what is altered. */
void put_alter_column(struct buf *b, const struct plan_projection *p,
                      const char *column);
/* The statement that gives the column its declared type, in the line that is being
 * written, which it ends: [found] is its type now. PostgreSQL casts by itself only
 * where nothing can be lost, so it says USING. */
void report_mend_type(struct catalog_report *r, const struct plan_column *c,
                      const char *found);
/* What mends it: schema tidemill; a column that is to be NULL; the table; a part
 * of it that is UNLOGGED. */
void report_mend_own(struct catalog_report *r);
void report_mend_not_null(struct catalog_report *r, const char *name);
void report_mend_table(struct catalog_report *r);
void report_mend_unlogged(struct catalog_report *r, const char *part);
/* In the line that is being written: the table's SQL; that of the unique index,
 * which ends the line. */
void report_table_sql(struct catalog_report *r, struct buf *b);
void report_index_sql(struct catalog_report *r, struct buf *b);
/* The GRANTs to the role on a table that lacks something. */
void report_grants_of_new(struct catalog_report *r);
/* Its place is written, and what is wrong follows. */
void report_found(struct catalog_report *r, bool is_warning);
/* Nothing more is said of the problem in hand. */
void report_end(struct catalog_report *r);

/* Begins a line; the caller ends it with "\n". A warning is no problem. */
struct buf *report_begin(struct catalog_report *r, bool is_warning);
struct buf *report_problem(struct catalog_report *r);
/* " TO user;\n", and "GRANT rights ON on TO user;\n": each ends a line. */
void report_to(struct catalog_report *r);
void report_grant(struct catalog_report *r, const char *rights, const char *on);
/* What comes is about this column of the table, whose line is named where the
 * projection has it; NULL: about the table. */
void report_about(struct catalog_report *r, const char *column);
/* The row of a column in what was answered about a table's; -1: none. */
int report_column(const struct pg_result *columns, const char *name);
/* The projection names it. */
bool report_is_declared(const struct catalog_report *r, const char *name);

/* Schema tidemill: its version, tables, function and rights; [server]: what
 * SERVER answered, where the schema is there and may be used. */
void report_own(struct catalog_report *r, const struct pg_result *server);
/* "run `tidemill schema ...": ends a line. */
void report_schema_hint(struct catalog_report *r, struct buf *b);
/* The declared type against that of row [i] of what was answered about the
 * table's columns. Sets the facts' cast. */
void report_type(struct catalog_report *r, const struct plan_column *c,
                 const struct pg_result *columns, int i);

/* Problems of a column that the server fills: how it is made (COLUMN_MADE). An
 * INSERT says OVERRIDING SYSTEM VALUE, so that an identity takes what a row
 * brings; no UPDATE may set it. */
void report_made(struct catalog_report *r, const struct plan_column *c,
                 char made);
/* The same where other projections write other columns: a row that one of them
 * makes leaves this one alone, and a value would look as if it had been given. */
void report_part(struct catalog_report *r, const struct plan_column *c,
                 const struct pg_result *columns, int i);

/* Rights on the table of the projection; false: its schema may not be used, so
 * nothing else can be said. */
bool report_rights(struct catalog_report *r, const struct pg_result *table,
                   const struct pg_result *columns);

/* Warns of what the tables have that may keep rows of the projection back;
 * [causes]: as catalog_ask() asked. */
void report_causes(struct catalog_report *r, const struct pg_result *causes);
/* The same of tables of schema tidemill. */
void report_own_causes(struct catalog_report *r, const struct pgreply *reply);

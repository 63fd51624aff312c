#pragma once
/*
 * The questions to pg_catalog, and the columns of their answers: the shape of
 * the tables (shape.h), the server, the causes of each table of schema tidemill,
 * then CATALOG_PER_TABLE for each projection, and when rows are cached what
 * write_check_causes_sql() asks.
 */
#include "model/plan.h"
#include "postgres/wire/conn.h"

enum table_answer {
    OF_TABLE,
    OF_COLUMNS,
    OF_PARENTS, /* by foreign keys */
    OF_CAUSES,
    OF_INDEXES, /* unique ones */
    CATALOG_PER_TABLE
};
enum catalog_own { OWN_LANE, OWN_LETTER, OWN_AUDIT, N_OWN };
enum catalog_answer {
    ANSWER_SHAPE,
    ANSWER_SERVER,
    ANSWER_OWN,
    ANSWER_TABLES = ANSWER_OWN + N_OWN
};

enum server_field {
    SERVER_VERSION,
    SERVER_VERSION_TEXT,
    SERVER_READ_ONLY,
    SERVER_USAGE,
    SERVER_MUST,
    SERVER_USER,
    SERVER_LANE, /* of each own table: known columns, rights */
    SERVER_LETTER = SERVER_LANE + 2,
    SERVER_AUDIT = SERVER_LETTER + 2, /* no rights: a run leaves it alone */
    SERVER_UNLOGGED, /* one of the own tables that is; NULL: none */
    SERVER_SCHEMA,   /* see postgres/sql/schema_version.h */
    N_SERVER
};

enum table_field {
    TABLE_KIND,
    TABLE_USAGE,
    TABLE_SCHEMA,
    TABLE_XMIN,   /* may be read */
    TABLE_DELETE, /* rights on the whole, as in enum right */
    TABLE_TRUNCATE,
    TABLE_HAS_ROWS,
    TABLE_OID,
    TABLE_REFERRER,  /* another table with a foreign key to it; NULL: none */
    TABLE_PART,      /* itself or a part of it whose rows do not stay with the
                       positions; NULL: none */
    TABLE_PART_KIND, /* of that: 'u' unlogged, 't' temporary, 'f' foreign */
    TABLE_SELF,      /* its own name, as that of the part */
    TABLE_OTHER      /* schema of another one of its name in the search path;
                        NULL: none, or its schema is written */
};

enum column_field {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_NOT_NULL,
    COLUMN_HAS_DEFAULT,
    COLUMN_MADE, /* 'g' GENERATED ALWAYS AS (…), 'a' an identity, ALWAYS; else
                    'd' or "" */
    COLUMN_DETERMINISTIC,
    COLUMN_SELECT, /* rights, as in enum right */
    COLUMN_INSERT,
    COLUMN_UPDATE,
    COLUMN_SEQUENCE, /* of its default, if it may not be used; else NULL */
    COLUMN_BASE,     /* its type, of a domain the one below all domains */
    COLUMN_IS_DOMAIN,
    COLUMN_IS_ARRAY,
    COLUMN_FORM,     /* a letter of column_form, of the base type */
    COLUMN_CAST,     /* that type's own name, with its schema and quoted */
    COLUMN_WORD,     /* what it is, for people: "an enum"; or empty */
    COLUMN_BY_DOMAIN /* a domain of it is NOT NULL or has a default */
};

/* What may keep a row from being written as a statement says, one a row. */
enum cause_field {
    CAUSE_KIND, /* a letter of cause_kind */
    CAUSE_NAME, /* of the trigger, rule, child or constraint; the policies */
    CAUSE_ON,   /* the table it is on, or acts from */
    CAUSE_WHEN  /* "INSERT or UPDATE" */
};
enum cause_kind {
    CAUSE_TRIGGER = 'b', /* before each row */
    CAUSE_LATER = 't',   /* another trigger */
    CAUSE_POLICY = 'p',
    CAUSE_RULE = 'r',
    CAUSE_CHILD = 'c',
    CAUSE_ACTION = 'f' /* a foreign key that changes rows of [name] */
};

/* What becomes of a text that is cast to a type. */
enum column_form {
    FORM_EXACT = 'e', /* it reads again as it was written */
    FORM_OTHER = 'o', /* it may read in another way */
    FORM_MONEY = 'm', /* the same, and its text depends on lc_monetary */
    FORM_LOSSY = 'l', /* it is cut silently, or may be */
    FORM_NAMES = 'n'  /* it names an object of the database, which may not be
                         there: an error as of a table that is not there */
};

enum index_field { INDEX_NAME, INDEX_MAY_BREAK, INDEX_IS_KEY };

static inline const struct pg_result *
catalog_answer(const struct pgreply *r, uint32_t table, enum table_answer which)
{
    return r
        ->results[ANSWER_TABLES + CATALOG_PER_TABLE * (int)table + (int)which];
}

/* Queues the queries. */
void catalog_ask(struct pgconn *c, const struct plan *p);
/* Queues the question which tables have rows: one result a projection. A table
 * that may not be read has some when it takes room. */
void catalog_ask_rows(struct pgconn *c, const struct plan *p);
bool catalog_has_rows(const struct pg_result *answer);

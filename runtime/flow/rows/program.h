#pragma once
/*
 * A projection made ready to run: the decoder nodes that its keys and columns
 * come from, which event types it handles, and its SQL statements. Made once
 * a loaded pipeline; the statement cache holds those that were used last, since
 * there is one for each distinct set of assigned columns.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "decode/envelope/decoder.h"
#include "decode/value/convert.h"
#include "model/columns.h"
#include "model/facts.h"
#include "model/plan.h"
#include "postgres/wire/conn.h"

/* Of statement texts, how many are kept, and how many bytes of them; the last
 * one always is. */
enum { PROGRAM_STATEMENTS = 256, PROGRAM_TEXT_BYTES = 4 << 20 };

/* Where one key column's value comes from, as node numbers; -1: not used. */
struct program_key {
    int key_field;  /* key.<column> */
    int data_field; /* data.<column>: FROM_FIELD only */
    int whole;      /* the record key itself */
    int stated;     /* checks_key: data.<column>, which must agree with it */
    int *paths;     /* FROM_PATH, FROM_LIST */
    uint32_t n_paths;
};

enum program_statement {
    STATEMENT_LOAD,
    STATEMENT_LOCK, /* the same, and locks the rows */
    STATEMENT_UPDATE,
    STATEMENT_INSERT,
    STATEMENT_UPSERT,
    STATEMENT_DELETE,
    STATEMENT_MERGE,
    STATEMENT_APPEND,
    STATEMENT_EMPTY,
    STATEMENT_VERIFY
};

struct program_cached {
    enum program_statement what;
    uint64_t *mask;  /* owned; NULL: none */
    const char *sql; /* owned */
    size_t bytes;    /* of the text */
};

enum program_type {
    TYPE_UNSEEN,
    TYPE_HANDLED,
    TYPE_IGNORED,
    TYPE_UNKNOWN,
    TYPE_PASSED, /* unknown, and an event was passed by; see unknown.h */
    TYPE_LOGGED  /* the same, and people were told */
};

/* The first way in which record keys were seen written, where lanes own their
 * rows; another way is told once. */
struct program_form {
    const char *p;     /* arena: the first key; NULL: none was seen */
    uint32_t len;      /* of it up to its first value */
    bool is_text;      /* that value stands in quotes */
    const char *other; /* arena: a record with another way, and its key */
    bool is_logged;
};

struct program {
    const struct plan_projection *plan; /* borrowed */
    const struct table_facts *facts;    /* borrowed */
    uint32_t index;
    const struct plan_topic *topics; /* borrowed; settings of the source's */
    struct program_key *keys;        /* arena; [n_key] */
    int *sources;                    /* arena; mirror: node of each column */
    struct tm_cell *initial; /* arena; [n_columns]: of the column's type */
    int once;                /* fold: node of the event's version, or -1 */
    uint8_t *types;          /* owned; enum program_type by type number */
    uint32_t n_types;
    uint32_t n_unlogged; /* of them TYPE_PASSED */
    uint32_t n_logged;
    struct convert_rules *rules;    /* arena; one a topic of the source */
    struct convert_rules own_rules; /* of what no event gave; see rows.h */
    uint32_t n_words;               /* of a set of columns */
    uint64_t *all_values;           /* arena; every non-key column */
    struct tm_cell *scratch;        /* arena; [2][n_columns]: mirror.c */
    bool checks_key;                /* the record key must be the row key */
    struct program_form form;       /* with checks_key */
    bool tries; /* leads a set whose function asks for rows by key, or did */
    const char *schema;             /* of the table that their texts name */
    uint32_t n_recast;              /* of the facts, that they were made of */
    struct program_cached **cached; /* owned; the one used last comes first */
    uint32_t n_cached;
    size_t cached_bytes; /* of their texts */
    struct arena *arena; /* borrowed */
};

/* Makes the programs of all projections, in [a]; false: the plan asks for
 * something that cannot be (ERR_CONFIG). Plan, facts and arena outlive them; the
 * array is owned by the caller. */
bool programs_new(struct arena *a, const struct plan *p,
                  const struct plan_facts *facts, struct decoder *d,
                  struct program **out, struct err *e) MUSTCHECK;
void programs_free(struct program *g, uint32_t n);
/* What the projection does with events of that type: HANDLED, IGNORED or
 * UNKNOWN. */
enum program_type program_type(struct program *g, const struct decoder *d,
                               uint32_t type);
/* An event of that type, which is unknown, was passed by. */
void program_passed(struct program *g, uint32_t type);
/* Good until the next call. */
const char *program_stmt(struct program *g, enum program_statement what,
                         const uint64_t *mask);
/* Is a statement of these columns one of so many as the data likes? */
bool program_varies(const struct program *g, const uint64_t *mask);
/* Ends the statement, of rows that are written, in how many they are? */
bool program_counts(const struct program *g, enum program_statement what);
/* Is the projection a fold whose rows must be read first? */
bool program_loads(const struct program *g);

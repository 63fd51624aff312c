#pragma once
/* The inside of recognise.h, for its files: a sight is one record, looked at;
 * looking is all of them. */
#include "decode/json/json.h"
#include "decode/json/tokens.h"
#include "inspect/recognise.h"

enum shape {
    SHAPE_NULL,            /* a tombstone */
    SHAPE_BINARY,          /* the zero byte of a schema registry */
    SHAPE_STRUCT,          /* "Struct{...}": Java's text of a row */
    SHAPE_BROKEN,          /* not JSON */
    SHAPE_SCALAR,          /* a number, true, false, null */
    SHAPE_TEXT,            /* a text that holds JSON */
    SHAPE_TEXT_TWICE,      /* a text in a text */
    SHAPE_ENVELOPE,        /* Debezium's before, after and op */
    SHAPE_OUTBOX_ENVELOPE, /* the same, of a table that is an outbox */
    SHAPE_DOCUMENT,        /* the same, of MongoDB: its rows are texts */
    SHAPE_FLATTENED,       /* a row behind ExtractNewRecordState */
    SHAPE_OUTBOX_FLATTENED,
    SHAPE_TRANSACTION, /* of Debezium's transaction topic */
    SHAPE_HEARTBEAT,
    SHAPE_ROUTED, /* EventRouter's: it has an id or the type as a header */
    SHAPE_PLACED, /* EventRouter's, with the type beside the payload */
    SHAPE_OBJECT, /* any other JSON */
    SHAPES
};

struct sight {
    const struct record *record;
    const struct taken *taken;
    enum shape shape;
    bool is_passed;   /* see struct recognise */
    bool has_type;    /* outbox: the header with the event's type */
    bool is_wrapped;  /* {"schema":...,"payload":...} */
    bool has_schema;  /* and the schema is not null */
    bool is_expanded; /* a number that Java's double was printed to */
    char op;          /* of an envelope or a flattened row, or 0 */
    const struct tm_cell *value; /* tokens, unwrapped; NULL: none */
    const struct tm_cell *row;   /* the object with the columns, or NULL */
    const struct tm_cell *key; /* tokens, unwrapped; NULL: none or bare text */
};

struct looking {
    const struct recognise *q;
    struct arena *arena;
    struct json_index *index;
    struct sight *sights; /* arena */
    uint32_t n;
    struct recognised *out;
};

struct names {
    const char **list; /* arena */
    uint32_t n;
};

/* -- recognise_sight.c -- */

void sight_of(struct looking *k, uint32_t i, struct sight *s);
/* It becomes an event of rows. */
bool sight_is_applied(const struct sight *s);
/* A row with its values, not passed: a deleted one has nothing or zeros. */
bool sight_is_full(const struct sight *s);
/* A field of such a row, when no schema says what it is; NULL: none. */
const struct tm_cell *sight_unsaid(const struct sight *s, const char *name);

/* -- recognise.c -- */

/* [s] may be NULL; nothing is told of one that is passed. What would be told
 * twice is told once. A problem explains why a run refuses [s]; when it does
 * not, there is nothing to explain. */
void find_problem(struct looking *k, const struct sight *s, const char *what,
                  const char *cure);
/* The same of what no run of one record alone can show. */
void find_halt(struct looking *k, const struct sight *s, const char *what,
               const char *cure);
void find_warning(struct looking *k, const struct sight *s, const char *what,
                  const char *cure);
/* A problem of a mirror that refuses [s], and else a warning. */
void find_in_column(struct looking *k, const struct plan_projection *p,
                    const struct sight *s, const char *what, const char *cure);
/* The first one of that shape that is not passed, one that is refused before
 * all others; or NULL. */
const struct sight *first_of(const struct looking *k, enum shape shape);
bool is_refused(const struct sight *s);
bool is_row(enum shape shape);
/* Distinct names of the fields of [object], behind those in [names]. */
void names_add(struct looking *k, struct names *names,
               const struct tm_cell *object);
/* "a, b, c", shortened; "none" */
const char *names_text(struct looking *k, const struct names *names);
/* The nearest of them, as ": did you mean 'x'?" to be put behind a cure; "" */
const char *names_hint(struct looking *k, const struct names *names,
                       const char *word);

/* -- recognise_format.c: is the topic what its format says -- */

void judge_format(struct looking *k);

/* -- recognise_type.c: do the projections know the types of its events -- */

void judge_types(struct looking *k);
/* The distinct types of events, for the summary. */
void types_seen(struct looking *k, struct names *out);

/* -- recognise_key.c: do keys fit -- */

void judge_keys(struct looking *k);

/* -- recognise_form.c: are keys written in one way -- */

void judge_forms(struct looking *k);

/* -- recognise_column.c: columns and decimals of change events -- */

void judge_columns(struct looking *k);

/* -- recognise_time.c: their times -- */

void judge_times(struct looking *k, const struct plan_projection *p);
/* Of events that no connector wrote: fields that a handler may pass on. */
void judge_handled_times(struct looking *k, const struct plan_projection *p);

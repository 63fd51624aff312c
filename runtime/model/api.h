#pragma once
/*
 * What Lua may see of the C core, and nothing else.
 *
 * C includes this file; the build embeds its text and
 * scripts/tidemill/core/api.lua hands it to ffi.cdef, so that it can be
 * declared only once. It therefore holds plain C declarations: no macros, and
 * preprocessor lines (dropped before cdef) only for includes. With tm_sizes()
 * the Lua half checks that the core is the one it was written for.
 *
 * Rules of the boundary: tm_* functions never raise, never call Lua, and
 * return 0 or a negative number with the reason in tm_batch.error. Pointers
 * live until the batch is reset; Lua keeps none of them across two calls from
 * C. Everything runs on the worker's one thread.
 */
#include <stddef.h>
#include <stdint.h>

enum { TM_API_VERSION = 6 };

/* A value: what JSON gave, or what a column of a row holds. */
enum tm_tag {
    TM_MISSING, /* the record has no such field; in a row: never assigned */
    TM_NULL,
    TM_BOOL,   /* i: 0 or 1 */
    TM_INT,    /* i */
    TM_DEC,    /* i: mantissa, scale: digits after the point */
    TM_BIGDEC, /* p: a struct tm_dec, for mantissas beyond int64 */
    TM_NUMBER, /* p,len: a JSON number that no decimal is, as written: beyond
                  38 digits or their range, or a zero with a minus */
    TM_TEXT,   /* p,len: UTF-8, unescaped */
    TM_OBJECT, /* p,len: raw JSON */
    TM_ARRAY,  /* p,len: raw JSON */
    /* rows only, by the type of their column: */
    TM_DOUBLE,  /* d: real and double precision */
    TM_UUID,    /* p: 16 bytes */
    TM_BYTES,   /* p,len: bytea */
    TM_DATE,    /* i: days since 1970-01-01; INT64_MAX, INT64_MIN: infinity */
    TM_TIME,    /* i: microseconds since midnight */
    TM_STAMP,   /* i: microseconds since 1970-01-01 UTC (or local); likewise */
    TM_JSON,    /* p,len: json and jsonb, as text */
    TM_LITERAL, /* p,len: text[] and bigint[], as PostgreSQL writes them */
    /* fields of events only: */
    TM_UNREADABLE /* p: why, a C string; scale: 1 if its schema says so */
};

/* What is known of a text or number besides its value, from the record's schema
 * or from the code that made it. The last three: it is a time, in that unit,
 * since midnight or since 1970-01-01 UTC. A TM_STAMP with TM_HINT_MICROS is
 * what seconds(x) and the like give: it goes into a column of any time type. */
enum tm_hint {
    TM_HINT_NONE,
    TM_HINT_BASE64,
    TM_HINT_MILLIS,
    TM_HINT_MICROS,
    TM_HINT_NANOS
};

struct tm_cell {
    union {
        int64_t i;
        double d;
        const char *p; /* borrowed: the raw record or the batch's arena */
    };
    uint32_t len;
    uint8_t tag; /* enum tm_tag */
    int8_t scale;
    uint8_t hint; /* enum tm_hint */
    uint8_t unused;
};

/* mantissa * 10^-scale; the mantissa is 128 bits, two's complement. */
struct tm_dec {
    uint64_t lo;
    int64_t hi;
    int32_t scale;
};

/* Node numbers that the decoder's path tree starts with. */
enum tm_root {
    TM_NODE_DATA,
    TM_NODE_BEFORE,
    TM_NODE_AFTER,
    TM_NODE_KEY,
    TM_NODE_SOURCE, /* what Debezium says of the change: lsn, txId, ... */
    TM_NODE_ID,     /* event.id, where the record's value holds it */
    TM_ROOTS
};

enum tm_event_state {
    TM_EVENT_OK,
    TM_EVENT_SKIPPED, /* tombstone, heartbeat: moves the position only */
    TM_EVENT_FAILED,  /* cannot be applied: set aside */
    TM_EVENT_HELD,    /* behind a failed record of its key: set aside too */
    TM_EVENT_CUT      /* its lane halts before it: not in this batch */
};

/* The decoded events of one batch: one entry an event in each array. */
struct tm_batch {
    uint32_t n_events;
    uint32_t generation;      /* changes with each run over the batch */
    int32_t current;          /* event whose handler runs; -1 outside */
    volatile int32_t is_late; /* the run takes too long: nothing of it will be
                                 used, and loops end before the next event */
    uint32_t n_nodes;         /* entries of columns[] */
    const uint8_t *states;    /* enum tm_event_state */
    const uint16_t *types;    /* number of event.type; tm_type_name() */
    const uint8_t *ops;       /* c u d r t m, or 0 */
    struct tm_cell **columns; /* [node][event]; NULL: not decoded yet */
    const char **reasons;     /* of events that could not be read */
    char error[512];          /* what the last failed tm_* call says */
    int32_t error_class;      /* enum err_class of that */
};

enum tm_row_flag {
    TM_ROW_LOADED = 1,  /* the table had this row when it was loaded */
    TM_ROW_EXISTS = 2,  /* it exists now, seen from the handlers */
    TM_ROW_TOUCHED = 4, /* a handler assigned or deleted */
    TM_ROW_CLEARED = 8  /* deleted in this batch (and perhaps made anew) */
};

/* The rows that one projection touches in one batch. */
struct tm_rows {
    uint32_t n_rows;
    uint32_t n_columns;
    uint32_t n_pairs;
    uint32_t projection;        /* its index in the pipeline */
    const uint32_t *pair_event; /* events in batch order ... */
    uint32_t *pair_row;         /* ... and the row each one enters */
    struct tm_cell **cells;     /* [column][row], key columns first */
    uint8_t *flags;             /* enum tm_row_flag */
    const uint8_t *unread;      /* by column: handlers may not read it, see
                                   tm_unread(); NULL: they may read all */
};

/* What a batch function sees beside the rows of its tables. */
struct tm_table_set {
    uint32_t n_tables;
    struct tm_rows **tables; /* in the order of the plan */
    uint32_t n_events;
    const uint32_t *events; /* those that are applied, in batch order */
    uint32_t n_unknown;     /* times that a row was given that is not loaded */
    uint32_t n_named;       /* of those, the ones that were named beforehand */
    uint32_t is_trial; /* nothing is loaded: only what it asks for counts */
};

/* The pairs of a table by row, in the order of each row's first event. */
struct tm_groups {
    uint32_t n;
    uint32_t *rows;   /* [n] */
    uint32_t *first;  /* [n + 1]: where the events of each one begin */
    uint32_t *events; /* of each row in batch order */
};

/* Sizes of tm_cell, tm_dec, tm_batch, tm_rows and the version, in order. */
void tm_sizes(uint32_t out[5]);

/* ---- events ---- */

/* Stands for all types that have no number, as there are too many. */
enum { TM_TYPE_OTHER = 65535 };
/* The name of a type number; NULL with *len 0 for "no type" and
 * TM_TYPE_OTHER. */
const char *tm_type_name(struct tm_batch *b, uint32_t type, size_t *len);
/*
 * Field [name] below [parent]: its node, made if new, with its column decoded
 * for the whole batch; or a number from TM_LOOSE on: it gets no column, and was
 * looked up in the event alone. Such a number lasts as long as the call, and
 * TM_LOOSE itself, of what is neither object nor array, until the next one is
 * asked for. [is_written]: is the name in the text of a script? 0: not asked
 * yet, 1, or -1: it is not. TM_CROWDED: ask. Otherwise negative: a record could
 * not be read; it is marked, and need not be the current one, so that there is
 * none from then on.
 */
enum { TM_CROWDED = -2, TM_LOOSE = 1 << 24 };
int tm_field(struct tm_batch *b, uint32_t event, int parent, const char *name,
             size_t len, int is_written);
/* The value of such a field in an event, until the next one is asked for. */
const struct tm_cell *tm_loose(struct tm_batch *b, uint32_t event, int field);
/* Decodes the column of a node that this batch does not have yet; as tm_field. */
int tm_column(struct tm_batch *b, int node);
/* Puts into tm_batch.error why this cell of an event (TM_UNREADABLE) cannot be
 * read. */
void tm_unreadable(struct tm_batch *b, const struct tm_cell *cell);

/* Puts into tm_batch.error why a handler may not read this column. */
void tm_unread(struct tm_batch *b, const struct tm_rows *rows, uint32_t column);

enum tm_meta {
    TM_META_KEY,  /* scalar keys as text; objects as TM_OBJECT */
    TM_META_ID,   /* id header, else topic/partition/offset */
    TM_META_TIME, /* milliseconds */
    TM_META_TOPIC,
    TM_META_PARTITION,
    TM_META_OFFSET,
    TM_META_TYPE /* where types[] has TM_TYPE_OTHER: see there */
};
int tm_meta(struct tm_batch *b, uint32_t event, int what, struct tm_cell *out);
/* The last header of that name; TM_MISSING when there is none. */
int tm_header(struct tm_batch *b, uint32_t event, const char *name, size_t len,
              struct tm_cell *out);
/*
 * A JSON value as a flat list in document order. An object is
 * {TM_OBJECT, len = members} followed by name and value of each; an array is
 * {TM_ARRAY, len = items} followed by the items. *n_out tokens; negative: not
 * JSON.
 */
int tm_json(struct tm_batch *b, const char *json, size_t len,
            const struct tm_cell **out, uint32_t *n_out);

/*
 * The handler of event [e], or the key function, raised: the record is set
 * aside, its later ones of the same key too, and the others go on. [again]:
 * rows that the event made are in use, so the projection must run once more.
 * 1: enough has failed, this run is to end here; 0: go on.
 */
int tm_fail(struct tm_batch *b, int32_t event, const char *reason, size_t len,
            int again);

/* ---- rows ---- */

/* Aborts unless there is such a cell. Lua writes to cells by itself; in a debug
 * build it asks before each write. */
void tm_must_hold(const struct tm_rows *rows, uint32_t column, uint32_t row);
/* Converts [in] to the column's type and stores it. TM_UNSAID: the pipeline does
 * not say how, which is no matter of this record. */
enum { TM_UNSAID = -3 };
int tm_put(struct tm_batch *b, struct tm_rows *rows, uint32_t column,
           uint32_t row, const struct tm_cell *in);
/* A cell of a row as text (uuid, times, bytea, arrays): *p,*len, until the next
 * one of this projection. */
int tm_text(struct tm_batch *b, struct tm_rows *rows, uint32_t column,
            const struct tm_cell *cell, const char **p, size_t *len);
/* What row:delete() and row:reset() do; the prelude does the rest in Lua. */
int tm_row_delete(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
int tm_row_reset(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* First assignment to a row that does not exist: initial values, EXISTS. */
int tm_row_create(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* map with `newer`: a later event overwrote the row, which held [before]
 * (cells by column), and columns that it left alone are TM_MISSING now. */
int tm_row_layer(struct tm_batch *b, struct tm_rows *rows, uint32_t row,
                 const struct tm_cell *before);
/* append: a new row for [event]; its index, or negative. */
int tm_row_append(struct tm_batch *b, struct tm_rows *rows, uint32_t event);
/* append: the handler returned false: takes the newest row back. */
int tm_row_drop(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* After a failure: the row as it was loaded, before any event of this run. */
int tm_row_restart(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* append, after a failure: takes back what [event] added last. */
int tm_row_undo(struct tm_batch *b, struct tm_rows *rows, uint32_t event);
/* merge: adds the contributions of one event in scratch row 0 to [row]. */
int tm_row_merge(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* A fold that writes a part of a table: does the row, once it was assigned to, have
 * a value in one of its columns? Negative: no, with words in batch->error. */
int tm_row_told(struct tm_batch *b, struct tm_rows *rows, uint32_t row);
/* Order of two values of one column, as the server's (texts: COLLATE "C"):
 * below, equal to or above 0. */
int tm_cell_compare(const struct tm_cell *a, const struct tm_cell *b);
/*
 * once: the version that the event of [pair] brings, converted to its column's
 * type. 1: it is above the one that the row holds, if it holds one; 0: the
 * event was applied before, or is late. Negative: the event has none.
 */
int tm_once(struct tm_batch *b, struct tm_rows *rows, uint32_t pair,
            struct tm_cell *version);
/*
 * Keys that are functions. During the key phase pair_event[0..n_pairs) are the
 * events to compute keys for (pair_row is not set yet): [event] enters the row
 * of the key whose column values are in cells[0..n_key). Conversion to the
 * key's types happens here.
 */
int tm_key(struct tm_batch *b, struct tm_rows *rows, uint32_t event,
           const struct tm_cell *cells);

/* ---- batch functions ---- */

/* Of the batch function whose first table this is. */
struct tm_table_set *tm_table_set_of(struct tm_rows *rows);
/*
 * The row of a key (n_key cells): its index. One that is not loaded looks as
 * if it did not exist, and counts in tm_table_set.n_unknown: the run is thrown
 * away and repeated when it is loaded. [names]: it will be asked for later, see
 * n_named. TM_ROW_LATER: what was named is to be loaded before this run goes
 * on; otherwise negative: it is no key, or no row that this event may reach.
 */
enum { TM_ROW_LATER = -2 };
int tm_row_of(struct tm_batch *b, struct tm_rows *rows,
              const struct tm_cell *key, int names);
/* The groups of this run; they last until the next one. */
const struct tm_groups *tm_groups(struct tm_rows *rows);

/* ---- decimals: 0, or negative for "does not fit 38 digits" and the like ---- */

int tm_dec_parse(const char *p, size_t len, struct tm_dec *out);
/*
 * The shortest text that reads back as [d]. 0: that is what was meant; 1:
 * arithmetic may have rounded it (a fraction of more than 13 digits, a whole
 * number from 2^53 on), and no exact column takes it.
 */
int tm_dec_from_double(double d, struct tm_dec *out);
int tm_dec_format(const struct tm_dec *d, char out[64]); /* its length */
int tm_dec_add(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out);
int tm_dec_sub(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out);
int tm_dec_mul(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out);
/* Rounds half away from zero to [scale] digits; division by zero: negative. */
int tm_dec_div(const struct tm_dec *a, const struct tm_dec *b, int scale,
               struct tm_dec *out);
int tm_dec_round(const struct tm_dec *a, int scale, struct tm_dec *out);
/* What Lua's % gives: a - floor(a / b) * b, exactly. */
int tm_dec_mod(const struct tm_dec *a, const struct tm_dec *b,
               struct tm_dec *out);
/* -1, 0 or 1. */
int tm_dec_compare(const struct tm_dec *a, const struct tm_dec *b);

/* ---- times: what seconds(x), millis(x), micros(x) and nanos(x) give ---- */

/* 10^[digits] units are a second: [x] as microseconds since 1970, rounded half
 * away from zero. Negative: outside the years 0001 to 294246. */
int tm_time_of(const struct tm_dec *x, int digits, int64_t *usec);
/* ISO 8601 with a Z, without a NUL; its length. */
int tm_time_format(int64_t usec, char out[64]);

/* ---- while a pipeline is loaded ---- */

/*
 * A path into an event as pipelines write it, which is as Lua reads one: a root,
 * then fields (.name or ['name']) and items of arrays ([1] is the first). Each call
 * gives the next step, the root first, and returns 1; 0: that was all; negative: the
 * text is no path, and fault says why (NULL: a name is missing). A name lives as long as text and room.
 */
struct tm_path {
    const char *text; /* set by the caller, as are len and room */
    uint32_t len;
    uint32_t at;
    char *room;       /* len + 1 bytes */
    const char *name; /* a field; of an item it is empty */
    uint32_t name_len;
    uint32_t item; /* from 1; 0: a field */
    const char *fault;
};
int tm_path_next(struct tm_path *p);

/* Why a value cannot be one of a column; NULL: it can. [tag]: 'b' (boolean),
 * 'n' (number), 't' (text), 'm' (a time, in microseconds since 1970), 'o' and
 * 'a' (JSON object and array), [value] its text. [type] is one that the host
 * knows. The reason stays until the next call. */
const char *tm_refuse(const char *type, char tag, const char *value,
                      uint32_t len);

/* ---- trial runs: a batch without Kafka and PostgreSQL, for specs ----
 * The Lua half drives: events in, decode, rows of each projection (keys that
 * are functions are computed by Lua with tm_key), given rows, fold, read. */

struct tm_trial;

/* [plan] is a struct plan, borrowed. */
struct tm_trial *tm_trial_new(const void *plan);
void tm_trial_free(struct tm_trial *t);
/* Forgets events and rows; the decoder keeps what it learned. */
void tm_trial_reset(struct tm_trial *t);
/* One record; bytes are copied. A length of -1 is a null key or value. */
void tm_trial_event(struct tm_trial *t, const char *topic, int32_t partition,
                    int64_t offset, int64_t time_ms, const char *key,
                    int key_len, const char *value, int value_len);
/* A header of the event added last. */
void tm_trial_header(struct tm_trial *t, const char *name, const char *value,
                     int value_len);
struct tm_batch *tm_trial_decode(struct tm_trial *t);
/* Is the value of the only event its row, with no envelope around it? */
int tm_trial_is_flat(struct tm_trial *t);
/* What failed with this reason is no record's fault: a run would halt. */
int tm_trial_halts(struct tm_trial *t, const char *reason);
/* The rows of a projection, keys computed unless they are functions. NULL:
 * see tm_batch.error; tm_batch.current is the event, or -1. */
struct tm_rows *tm_trial_rows(struct tm_trial *t, uint32_t projection);
/* `newer`: the cells by column of layer [number], and its row; NULL: it counts
 * no more, or *row is -1: there is none. See flow/rows/layers.h. */
const struct tm_cell *tm_trial_layer(struct tm_trial *t, struct tm_rows *rows,
                                     uint32_t number, int32_t *row);
/* A deleted row of a mirror: the version of the delete; NULL: it has none. */
const struct tm_cell *tm_trial_deleted(struct tm_trial *t, struct tm_rows *rows,
                                       uint32_t row);
/* Is the table emptied by a truncate of this batch? It is the only event. */
int tm_trial_emptied(struct tm_trial *t, struct tm_rows *rows);
/* After tm_key was called for every event of a projection whose keys are
 * functions: the pairs and rows can be read. */
void tm_trial_ready(struct tm_trial *t, struct tm_rows *rows);
/* The row of a key (n_key cells, converted here), or: it is not touched; it is
 * no key, see tm_batch.error. */
enum { TM_NO_ROW = -1, TM_NO_KEY = -2 };
int tm_trial_find(struct tm_trial *t, struct tm_rows *rows,
                  const struct tm_cell *key);
/* Sets a column of a loaded row, as if the table held it. */
int tm_trial_given(struct tm_trial *t, struct tm_rows *rows, uint32_t column,
                   uint32_t row, const struct tm_cell *value);
/* Before each run of a batch function, when the rows of all its tables are
 * there: what they hold now is what is loaded. */
struct tm_table_set *tm_trial_table_set(struct tm_trial *t,
                                        struct tm_rows *first);
/* Mirrors, which have no handler: applies all pairs. 0, or negative. */
int tm_trial_mirror(struct tm_trial *t, struct tm_rows *rows);

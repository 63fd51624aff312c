#pragma once
/*
 * A loaded pipeline as plain data: what the Lua file says, checked and with
 * every default filled in. Made by lua/load.c in one arena; read by every
 * layer; never changed afterwards: what a database tells of its tables is
 * beside it (facts.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/api.h"
#include "model/type.h"

enum plan_format { FORMAT_OUTBOX, FORMAT_DEBEZIUM, FORMAT_JSON };
enum plan_start {
    START_UNSAID,   /* earliest, but only into empty tables */
    START_EARLIEST, /* the same, of mirrors and maps into others too */
    START_LATEST,
    START_TIMESTAMP,
    START_GROUP
};
enum plan_decimals {
    DECIMALS_UNSAID,
    DECIMALS_STRING,
    DECIMALS_PRECISE,
    DECIMALS_DOUBLE
};
enum plan_times {
    TIMES_UNSAID,
    TIMES_SECONDS,
    TIMES_MILLIS,
    TIMES_MICROS,
    TIMES_NANOS,
    TIMES_ADAPTIVE, /* millis up to three digits of a second, else micros */
    TIMES_ADAPTIVE_TIME, /* the same, but micros for clock times */
    TIMES_ISO            /* texts, no numbers */
};
enum plan_binary { BINARY_UNSAID, BINARY_BASE64, BINARY_HEX };
enum plan_truncate { TRUNCATE_HALT, TRUNCATE_APPLY };
/* What becomes of a deleted row behind ExtractNewRecordState. */
enum plan_flattened {
    FLATTENED_UNSAID,   /* an envelope, or a row that carries __deleted */
    FLATTENED_REWRITE,  /* a row with __deleted, perhaps and a tombstone */
    FLATTENED_TOMBSTONE /* a tombstone alone */
};

enum {
    PLAN_FORMATS = FORMAT_JSON + 1,
    PLAN_STARTS = START_GROUP + 1,
    PLAN_DECIMALS = DECIMALS_DOUBLE + 1,
    PLAN_TIMES = TIMES_ISO + 1,
    PLAN_BINARY = BINARY_HEX + 1,
    PLAN_TRUNCATES = TRUNCATE_APPLY + 1,
    PLAN_FLATTENED = FLATTENED_TOMBSTONE + 1
};

/* Columns of an outbox table. */
struct plan_outbox {
    const char *id;
    const char *key;
    const char *type;
    const char *payload;
    const char *time; /* NULL: none */
};

/* The forms in which a placeholder may stand for a value, by its type. */
enum plan_placeholder_form {
    PLACEHOLDER_TEXT,
    PLACEHOLDER_BASE64,       /* bytea, numeric */
    PLACEHOLDER_PAIR,         /* hstore, as JSON */
    PLACEHOLDER_JSON_TEXTS,   /* arrays, as JSON: of one text, */
    PLACEHOLDER_JSON_NUMBERS, /* or of the text's bytes */
    PLACEHOLDER_TEXTS,        /* the same, as PostgreSQL's literals */
    PLACEHOLDER_NUMBERS,
    PLACEHOLDER_FORMS
};

struct plan_form {
    const char *p;
    uint32_t len;
};

struct plan_placeholder {
    struct plan_form forms[PLACEHOLDER_FORMS];
};

/* What one topic holds and how it is to be read. */
struct plan_topic {
    const char *name;
    enum plan_format format;
    const char *type_header; /* outbox: default eventType */
    const char *type_path;   /* json: "data.kind", or NULL */
    enum plan_decimals decimals;
    enum plan_times times;
    enum plan_binary binary;
    enum plan_truncate truncate;
    enum plan_flattened flattened;
    const struct plan_placeholder *unavailable; /* NULL: the connector's */
    const struct plan_outbox *outbox; /* raw rows of such a table; or NULL */
    bool is_mirrored; /* json: a mirror reads it, which tombstones concern */
};

struct plan_option {
    const char *name;
    const char *value; /* may be a secret: never printed */
};

struct plan_source {
    const char *brokers;
    const char *group;
    const char **topics; /* names */
    uint32_t n_topics;
    const struct plan_topic *settings; /* of each of them, in the same order */
    enum plan_start start;
    int64_t start_ms;                  /* START_TIMESTAMP */
    bool onto_rows;                    /* begin also where tables have rows */
    const struct plan_option *options; /* librdkafka properties */
    uint32_t n_options;
};

/* How long anything of a session may take. */
struct plan_timeouts {
    uint32_t connect_ms; /* one attempt at one host */
    uint32_t statement_ms;
    uint32_t lock_ms;
    uint32_t idle_in_transaction_ms;
    uint32_t tcp_user_ms; /* sent, and not acknowledged by the other side */
};

/* Between two tries of the same: from floor to cap. */
struct plan_retry {
    uint32_t floor_ms;
    uint32_t cap_ms;
};

/* See flow/database/breaker.h. */
struct plan_breaker {
    uint32_t window;
    uint32_t failures;
    double ratio;
    uint32_t open_ms;
    uint32_t open_max_ms;
};

struct plan_database {
    const char *write; /* libpq URL or key=value; may hold a password */
    const char *read;  /* NULL: the same */
    const char *file;  /* of postgres{}, for messages */
    int line;
    uint32_t pool_max;
    struct plan_timeouts timeouts;
    struct plan_retry retry;
    struct plan_breaker breaker;
};

struct plan_limits {
    uint32_t size; /* events a batch */
    uint64_t bytes;
    uint32_t linger_ms;
    uint32_t concurrency; /* 1-8 */
};

/* The row cache of a worker: flow/table/cache_ring.h. */
struct plan_cache {
    uint64_t bytes; /* 0: there is none */
    uint32_t ttl_s;
};

enum plan_kind { KIND_FOLD, KIND_MAP, KIND_MIRROR, KIND_APPEND, KIND_MERGE };
/* How a projection is kept exact (design: kinds of projection). */
enum plan_exact {
    EXACT_ALIGNED,   /* one topic, row key = record key: load before BEGIN */
    EXACT_SHARED,    /* rows locked inside the transaction */
    EXACT_MERGE,     /* combined by the server */
    EXACT_OVERWRITE, /* mirror, map: upsert; with `newer` when shared */
    EXACT_APPEND
};
enum plan_merge { MERGE_NONE, MERGE_SUM, MERGE_MIN, MERGE_MAX };
/* Where the value of a key column comes from. */
enum plan_from {
    FROM_FIELD,    /* type alone: field of that name in an object key, else in
                      after/before/data, else the whole record key */
    FROM_KEY,      /* 'key': on an object key the field of the column's name,
                      else its only field; a scalar key whole */
    FROM_PATH,     /* 'data.x' */
    FROM_LIST,     /* {'data.x', 'data.y'}: one group each */
    FROM_FUNCTION, /* computed in Lua */
    FROM_ASKED     /* the batch function asks for rows by key */
};
enum {
    PLAN_KINDS = KIND_MERGE + 1,
    PLAN_EXACTS = EXACT_APPEND + 1,
    PLAN_MERGES = MERGE_MAX + 1,
    PLAN_FROMS = FROM_ASKED + 1
};

struct plan_column {
    const char *name;
    struct coltype type;
    bool is_key;
    enum plan_from from; /* key columns; of others FROM_FIELD, or in a mirror
                            FROM_PATH */
    const char **paths;  /* FROM_PATH: one; FROM_LIST: several */
    uint32_t n_paths;
    enum plan_merge merge;
    struct tm_cell initial; /* as written; TM_MISSING: none */
    int line;               /* of its name in the projection's file */
};

/* A table, as statements quote it. */
struct plan_name {
    const char *schema; /* "": not said */
    const char *table;
};

struct plan_projection {
    const char *table; /* as written, for people: name or schema.name, with
                          double quotes around what has a dot in it */
    struct plan_name name;
    const char *file; /* for messages */
    int line;
    enum plan_kind kind;
    enum plan_exact exact;
    const struct plan_column *columns; /* key columns first */
    uint32_t n_columns;
    uint32_t n_key;
    const char **types; /* event types with a handler; NULL: every event */
    uint32_t n_types;
    const char **ignore; /* other types that are known not to matter */
    uint32_t n_ignore;
    bool strict;          /* an unknown type is a failure of its record */
    bool unlogged;        /* rows may be gone after a crash of the server, and
                              the position not */
    bool keys_in_lua;     /* a key column is FROM_FUNCTION */
    bool has_handler;     /* false: mirror, done in C */
    bool deletes;         /* a handler may delete rows */
    int newer;            /* index of the `newer` column, or -1 */
    int once;             /* index of the `once` column, or -1 */
    bool is_owner;        /* mirror, map: one topic feeds it, and its key is the
                              record key */
    bool follows_deletes; /* mirror, map: a delete of the source deletes */
    bool newer_deletes;   /* mirror: its deletes have a version too */
    bool empties;         /* a truncate of its source empties it */
    const char *once_path; /* fold: where its value comes from */
    const char **topics;   /* subset of the source's; NULL: all */
    uint32_t n_topics;
    bool is_cached; /* its rows may be kept between batches */
    uint32_t n_set; /* tables of the batch function that this one is the first
                       of, itself included; they stand behind it. 0: none */
    bool is_part;   /* other projections write other columns of its table */
    int part_of;    /* the first one of those, unless it is that; else -1 */
};

/* What may be set aside before a lane halts instead. */
struct plan_dead_letters {
    uint32_t max_failed; /* of the last 1000 records of a lane */
    uint32_t max_held;   /* records behind one failed record */
    bool holds;          /* later records of a failed one's key wait for it */
    const char *topic;   /* dead letters are produced to it too; or NULL */
};

struct plan {
    struct arena arena;
    const char *name;
    const char *path;   /* of the pipeline file */
    const char *folder; /* of the bundle */
    char hash[65];      /* of all files of the bundle: the generation */
    char
        identity[65]; /* of that, and of what env() and file() gave: another one
                           where anything that was loaded is another. Salted, so
                           that no value can be guessed from it, by what the
                           processes of one run share: good in it alone */
    char contract[65]; /* plan_contract() */
    struct plan_source source;
    struct plan_database database;
    struct plan_limits limits;
    struct plan_cache cache;
    struct plan_dead_letters dead_letters;
    const struct plan_projection *projections;
    uint32_t n_projections;
};

/* Tables that it writes; one of several projections counts once. */
uint32_t plan_n_tables(const struct plan *p);
/* Is any of its projections cached? */
bool plan_is_cached(const struct plan *p);
/* Its records may be applied again: the rows end the same. */
bool plan_can_repeat(const struct plan_projection *p);
/* Does the projection read the topic? */
bool plan_reads(const struct plan_projection *p, const char *topic);
/* Is the event type named by its `ignore`? */
bool plan_ignores(const struct plan_projection *p, const char *type);
/* Must the record key be the row key, since nothing but the order of its lane
 * tells which event of a row is the later one? */
bool plan_is_keyed_by_record(const struct plan_projection *p);
/* Hash of what rows, keys and records are: two plans with the same one may take
 * turns at the same tables and topics. Code is no part of it. */
void plan_contract(const struct plan *p, char out[65]);
void plan_free(const struct plan *p);

#pragma once
/*
 * The Connect schemas that JsonConverter puts in front of every payload with
 * schemas.enable=true: {"schema":{...},"payload":...}. They are several times
 * as large as the payload and hardly ever change, so the whole text up to the
 * payload is remembered: a record that starts with the same bytes needs
 * neither indexing nor parsing of its schema.
 *
 * Invariant: two records with the same text in front of the payload have the
 * same schema. A cache holds few, and few bytes of them; the one that was used
 * longest ago goes first. Not for threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

struct path;
struct schema;
struct schemas;

/* What must be done to a value to make it mean the same without a schema. */
enum logical {
    LOGICAL_NONE,
    LOGICAL_DECIMAL,          /* base64 of an unscaled integer */
    LOGICAL_VARIABLE_DECIMAL, /* {"scale":2,"value":base64} */
    LOGICAL_BYTES,            /* base64, and nothing else */
    LOGICAL_MICROS,           /* times become milliseconds */
    LOGICAL_NANOS,
    LOGICAL_IS_MILLIS, /* they stay as they are, and their unit is known */
    LOGICAL_IS_MICROS,
    LOGICAL_IS_NANOS
};

struct schema_field {
    const char *name; /* arena of the schema */
    uint32_t len;
    uint8_t logical; /* enum logical */
    int32_t scale;   /* LOGICAL_DECIMAL */
};

/* The direct fields of a struct that need something done. */
struct schema_row {
    struct schema_field *fields; /* arena of the schema */
    uint32_t n_fields;
    int16_t *by_node; /* owned; index in fields of a node of the tree */
    uint32_t n_by_node;
};

struct schema {
    char *prefix; /* owned: the record's bytes up to the payload */
    size_t prefix_len;
    struct schema_row top;    /* of the payload itself */
    struct schema_row before; /* of its fields before and after */
    struct schema_row after;
    struct arena arena;
};

/*
 * The times that Debezium adds to each change, in units that their names tell:
 * ts_ms and the like of `source`, __source_ts_ms of a flattened row. They have
 * no logical type, and no schema when the record has none. by_node is the
 * caller's.
 */
struct schema_row schema_source_times(void);
struct schema_row schema_added_times(void);

struct schemas *schemas_new(void);
void schemas_free(struct schemas *s);
/* The schema that this record starts with, or NULL: not seen lately. */
struct schema *schemas_find(struct schemas *s, const char *p, size_t len);
/*
 * Learns the schema [json, json + json_len) of a record whose payload begins
 * behind [prefix_len] bytes. A schema that makes no sense has no rows.
 */
struct schema *schemas_learn(struct schemas *s, const char *prefix,
                             size_t prefix_len, const char *json,
                             size_t json_len);
/* The field of that name that needs something done; NULL: it does not. */
const struct schema_field *schema_row_named(const struct schema_row *row,
                                            const char *name, uint32_t len);
/* The field of the row that [node] stands for; NULL: nothing to be done. */
const struct schema_field *schema_row_field(struct schema_row *row,
                                            const struct path *tree, int node);

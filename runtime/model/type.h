#pragma once
/* Column types: the words of a pipeline, PostgreSQL's oids, and what may be a
 * key. Pure. */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum type_kind {
    TYPE_SMALLINT,
    TYPE_INTEGER,
    TYPE_BIGINT,
    TYPE_NUMERIC,
    TYPE_REAL,
    TYPE_DOUBLE,
    TYPE_BOOLEAN,
    TYPE_TEXT,
    TYPE_VARCHAR,
    TYPE_CHAR, /* without the blanks at its end, which do not count */
    TYPE_UUID,
    TYPE_BYTEA,
    TYPE_DATE,
    TYPE_TIME,
    TYPE_TIMESTAMP,
    TYPE_TIMESTAMPTZ,
    TYPE_JSON,
    TYPE_JSONB,
    TYPE_TEXT_ARRAY,
    TYPE_BIGINT_ARRAY,
    TYPE_KINDS
};

/* What stands for the infinite dates and timestamps in a cell: the ends of the
 * integers, as on the wire of PostgreSQL. */
#define TYPE_INFINITY       INT64_MAX
#define TYPE_MINUS_INFINITY INT64_MIN

static inline bool type_is_infinite(int64_t v)
{
    return v == TYPE_INFINITY || v == TYPE_MINUS_INFINITY;
}

struct coltype {
    uint8_t kind;     /* enum type_kind */
    bool in_capitals; /* uuid of a key: as record keys are to write it */
    bool is_identity; /* of a key, or of what tells repeated events apart: equal
                          values are the same cell */
    int16_t precision; /* numeric: digits, 0 = not limited; time types: digits
                          of a second, 6 when not said */
    int16_t scale;     /* numeric with precision */
    int32_t length;    /* varchar: characters, 0 = not limited; char */
};

/* "numeric(18,2)", "timestamptz(3)", "varchar(40)", with PostgreSQL's aliases
 * (int, int8, decimal, bool, float8, "timestamp with time zone", ...). */
bool type_parse(const char *text, struct coltype *out) MUSTCHECK;
/* As PostgreSQL's format_type() prints it: "numeric(18,2)". */
void type_print(const struct coltype *t, struct buf *out);
/* The oid a cell of this type is sent as inside an unnest array (arrays and
 * varchar travel as text), and the oid of that array. */
uint32_t type_oid(const struct coltype *t);
uint32_t type_array_oid(const struct coltype *t);
/* Of what no column can be. */
enum { OID_OID = 26, OID_XID = 28, OID_XID_ARRAY = 1011 };
/* Bytes of its binary form; 0: they vary. */
uint32_t type_bytes(const struct coltype *t);
/* SQL name of the element type it travels as: "uuid", "text", ... */
const char *type_wire_name(const struct coltype *t);
bool type_is_number(enum type_kind kind);
bool type_is_key(const struct coltype *t);
/* A comma separated list of all words that type_parse takes first. */
const char *type_words(void);

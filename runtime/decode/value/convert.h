#pragma once
/*
 * From a value of a record (or of Lua) to the exact value that a column will
 * hold, by the rules of design section 6: done once, at assignment, so that
 * reading back gives what PostgreSQL will store. Pure; the only allocations
 * come from the arena.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/api.h"
#include "model/plan.h"
#include "model/type.h"

struct convert_rules {
    enum plan_format format;
    enum plan_decimals decimals; /* how text and numbers become numeric */
    enum plan_times times;       /* unit of numbers into time types, of which
                                    no hint of the cell tells it */
    enum plan_binary binary;     /* how text becomes bytea */
    const struct plan_placeholder *unavailable; /* NULL: the connector's */
    bool has_schema; /* this record came with a schema: the decoder has made
                        decimals canonical already, and times have hints */
    bool is_mysql;   /* its connector wrote this record: it refuses
                        time.precision.mode=adaptive, as its columns of time are
                        in microseconds, and takes blanks off a char(n) */
    bool is_payload; /* `times` may be of a column beside it, by the connector;
                        what an application wrote may be in another unit */
    bool is_literal; /* written in the pipeline, of which kafka{} says
                        nothing */
};

/* Of records of a topic that come without a schema. */
struct convert_rules convert_rules_of(const struct plan_topic *t);
/*
 * TM_MISSING and TM_NULL pass through; so do cells that are already of the
 * column's own tag. On failure e->class is ERR_DATA and e->text says what did
 * not fit, without naming the column ("text 'abc' is not a bigint").
 */
bool convert_cell(const struct coltype *t, const struct tm_cell *in,
                  const struct convert_rules *rules, struct arena *a,
                  struct tm_cell *out, struct err *e) MUSTCHECK;
/* A column's cell as text: what Lua reads for uuid, bytea (hex \x..), date,
 * times (ISO 8601, timestamptz with Z), json and array literals. */
void convert_text(const struct coltype *t, const struct tm_cell *c,
                  struct buf *out);
/* [number] in units of which 10^[digits] are a second, as microseconds. False:
 * beyond 64 bits. */
bool convert_usec(const struct tm_cell *number, int digits,
                  int64_t *usec) MUSTCHECK;
/* Is it within the years that a column can hold? */
bool convert_is_stamp(int64_t usec);
/* Same value in the same column: what makes a row unchanged. */
bool convert_equal(const struct tm_cell *a, const struct tm_cell *b);
/*
 * Several texts and numbers may be one value of a type ('1', '01'; a uuid in
 * capitals). One of them is plain: the one that the type prints or, where the
 * source always writes another one, that one: a timestamptz with all of its
 * digits, bytea from Debezium in its own notation, a uuid as the pipeline says.
 * What cannot be converted counts as plain: it fails elsewhere. Quick, and
 * certain only when true; [is_odd]: the number was not written as a whole one.
 */
bool convert_is_plain(const struct coltype *t, const struct tm_cell *in,
                      bool is_odd);
/* The same, for certain. */
bool convert_is_printed(const struct coltype *t, const struct tm_cell *in,
                        const struct convert_rules *rules, struct arena *a,
                        bool is_odd);
/* A cell as a plain key has it, and [in], of which it was made. */
void convert_key_text(const struct coltype *t,
                      const struct convert_rules *rules,
                      const struct tm_cell *in, const struct tm_cell *cell,
                      struct buf *out);

#pragma once
/*
 * Inside of convert.c and its parts only: one conversion under way, and the
 * function of each kind of type. A part gets no TM_MISSING, no TM_NULL, no
 * Lua number (TM_DOUBLE) but for the float types and JSON, and no placeholder
 * of an unchanged value; it fills *out or fails with convert_fail().
 */
#include "base/err.h"
#include "decode/value/convert.h"

struct conversion {
    const struct coltype *t;
    const struct convert_rules *rules;
    struct arena *a;
    struct err *e;
};

typedef bool (*convert_fn)(const struct conversion *c, const struct tm_cell *in,
                           struct tm_cell *out);

bool convert_numeric(const struct conversion *c, const struct tm_cell *in,
                     struct tm_cell *out) MUSTCHECK;
/* {"scale":2,"value":"BNI="}: how precise mode writes a numeric without
 * precision, where no schema has made it a number already. READ: [out] is it. */
enum variable { VARIABLE_NONE, VARIABLE_READ, VARIABLE_TOO_LONG };
enum variable convert_variable(const struct conversion *c,
                               const struct tm_cell *in, struct tm_dec *out);
bool convert_float(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out) MUSTCHECK;
bool convert_uuid(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out) MUSTCHECK;
bool convert_bytea(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out) MUSTCHECK;
bool convert_date(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out) MUSTCHECK;
bool convert_time(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out) MUSTCHECK;
bool convert_stamp(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out) MUSTCHECK;
bool convert_json(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out) MUSTCHECK;
bool convert_array(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out) MUSTCHECK;

/* "text 'abc'" and then what is wrong with it; always returns false. */
bool convert_fail(const struct conversion *c, const struct tm_cell *in,
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, and no record is to blame: kafka{} does not say what its numbers
 * mean (ERR_CONFIG). */
bool convert_unstated(const struct conversion *c, const struct tm_cell *in,
                      const char *what);
/* NaN or an infinity where only exact numbers are. */
bool convert_no_number(const struct conversion *c, const struct tm_cell *in);
/* "... is not a numeric(18,2)". */
bool convert_is_not(const struct conversion *c, const struct tm_cell *in);
/* The unit of a number into a time type: 10^[digits] of them are a second.
 * False: nothing says it. */
bool convert_unit(const struct conversion *c, const struct tm_cell *in,
                  int *digits);
/* A number as text with a NUL, cut to [cap] when it is a TM_NUMBER; its
 * length. 64 bytes hold any other. */
size_t convert_digits(const struct tm_cell *in, char *out, size_t cap);

static inline bool convert_is_number(const struct tm_cell *in)
{
    return in->tag == TM_INT || in->tag == TM_DEC || in->tag == TM_BIGDEC ||
           in->tag == TM_NUMBER;
}

/* Values that stand as they are: no schema tells more about them. */
static inline bool convert_is_bare_debezium(const struct conversion *c)
{
    return c->rules->format == FORMAT_DEBEZIUM && !c->rules->has_schema;
}

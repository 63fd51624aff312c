#pragma once
/*
 * Cells to and from PostgreSQL's binary format. Writing: one-dimensional
 * arrays for unnest. Reading: values of the types in model/type.h; arrays are
 * read as text (the load statements cast them).
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/api.h"
#include "model/type.h"

/* Appends the binary array cells[index[0..n)]; TM_MISSING and TM_NULL are
 * NULL. index may be NULL: 0..n-1. Cells must be of the column's type. */
void encode_array(struct buf *out, const struct coltype *t,
                  const struct tm_cell *cells, const uint32_t *index,
                  uint32_t n);
/* What that takes, at most; only texts are looked at. */
uint64_t encode_bytes(const struct coltype *t, const struct tm_cell *cells,
                      const uint32_t *index, uint32_t n);
/* An array of plain values. */
void encode_xid_array(struct buf *out, const uint32_t *values, uint32_t n);
/* One value of a result into a cell; bytes are copied into the arena. False:
 * a value we cannot hold exactly (ERR_DATA: a numeric beyond 38 digits, NaN, a
 * timestamp behind the year 294246), or none of the type (ERR_SCHEMA). */
bool encode_read(const struct coltype *t, const char *p, int len,
                 struct arena *a, struct tm_cell *out, struct err *e) MUSTCHECK;
/* A numeric of which encode_read said ERR_DATA, as PostgreSQL prints it; very
 * long ones are cut. */
void encode_tell_numeric(const char *p, struct buf *out);
/* A timestamp, whatever its year but not infinite: since 1970-01-01, and since
 * midnight. */
void encode_split_stamp(const char *p, int64_t *days, int64_t *usec);

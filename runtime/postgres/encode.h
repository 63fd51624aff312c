#pragma once
/*
 * Cells to and from PostgreSQL's binary format. Writing: one-dimensional
 * arrays for unnest. Reading: values of the types in base/type.h; arrays are
 * read as text (the load statements cast them).
 */
#include "base/api.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/type.h"

/* Appends the binary array cells[index[0..n)]; TM_MISSING and TM_NULL are
 * NULL. index may be NULL: 0..n-1. Cells must be of the column's type. */
void encode_array(struct buf *out, const struct coltype *t,
                  const struct tm_cell *cells, const uint32_t *index,
                  uint32_t n);
/* An array of plain values. */
void encode_xid_array(struct buf *out, const uint32_t *values, uint32_t n);
/* One value of a result into a cell; bytes are copied into the arena. False:
 * a value we cannot hold exactly (numeric beyond 38 digits, NaN). */
bool encode_read(const struct coltype *t, const char *p, int len,
                 struct arena *a, struct tm_cell *out, struct err *e);

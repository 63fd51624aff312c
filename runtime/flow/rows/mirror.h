#pragma once
/* Mirrors: rows as the source has them, column by column, without a call into
 * Lua. An absent field stays as it is, null is NULL, a delete deletes. */
#include "base/err.h"
#include "flow/rows/rows.h"

/* Applies all pairs from *pair on. False: the record of *pair cannot be
 * applied and has changed nothing; its caller goes on behind it. */
bool mirror_apply(struct rows *r, uint32_t *pair, struct err *e) MUSTCHECK;

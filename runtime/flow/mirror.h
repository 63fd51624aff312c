#pragma once
/* Mirrors: rows as the source has them, column by column, without a call into
 * Lua. An absent field stays as it is, null is NULL, a delete deletes. */
#include "base/err.h"
#include "flow/rows.h"

/* Applies all pairs. False: events->view->current names the record. */
bool mirror_apply(struct rows *r, struct err *e);

#pragma once
/*
 * What a table demands of rows: values where it is NOT NULL without a default,
 * and where `once` knows an event by. Asked before anything is queued, so that
 * a record is blamed and not its batch.
 */
#include "base/err.h"
#include "flow/rows/rows.h"

/* From *row on: false when that row lacks what the table demands (ERR_DATA);
 * events->view->current is the record it came from. */
bool demand_check(struct rows *r, uint32_t *row, struct err *e) MUSTCHECK;
/* Would an INSERT of these columns leave out one that the table demands? */
bool demand_lacks(const struct rows *r, const uint64_t *mask);

#pragma once
/*
 * Key order. Rows are written in memcmp order of their key bytes, never in a
 * collation's: every writer takes row locks in the same order, so batches
 * that share rows wait for each other but do not deadlock; and B-tree pages
 * are touched one after the other.
 */
#include "flow/rows/rows.h"

/* Row numbers of [r] in key order; from the arena. */
uint32_t *order_rows(const struct rows *r, struct arena *a);
/* The same, sorted once and kept in r->order. */
uint32_t *order_once(struct rows *r);

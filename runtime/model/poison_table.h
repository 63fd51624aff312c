#pragma once
/*
 * Records at which workers died: a small table in the shared page, written by
 * the supervisor and read by workers. A record at which two died is poison:
 * it counts as failed before any handler sees it, or it would kill every
 * worker after them. The table lives as long as the run. When it is full, a new
 * entry replaces one that its lane has moved past, else one at which a single
 * worker died: a poison record may be in the next batch again.
 */
#include <stdbool.h>

#include "model/page.h"

/* Another death at this record; how many there are now. */
uint32_t poison_table_add(struct page *p, const struct page_place *at,
                          const char *how);
/* Entries that there are. */
uint32_t poison_table_count(const struct page *p);
/* The i-th entry, when it is a poison record: a copy, since the
 * supervisor may be changing the entry. */
bool poison_table_get(const struct page *p, uint32_t i,
                      struct page_poison *out);

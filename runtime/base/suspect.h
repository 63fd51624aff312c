#pragma once
/*
 * Records at which workers died: a small table in the shared page, written by
 * the supervisor and read by workers. A record at which two died is condemned:
 * it counts as failed before any handler sees it, or it would kill every
 * worker after them. The table lives as long as the run.
 */
#include <stdbool.h>

#include "base/page.h"

/* Another death at this record; how many there are now. */
uint32_t suspect_add(struct page *p, const struct page_place *at,
                     const char *how);
/* The i-th entry, i < PAGE_SUSPECTS, when it is condemned: a copy, since the
 * supervisor may be changing the entry. */
bool suspect_condemned(const struct page *p, uint32_t i,
                       struct page_suspect *out);

#pragma once
/* What `dev` says at the end: rows of each table and a few of them. */
#include "model/page.h"
#include "model/plan.h"

/* On stdout. [p] names the private database. Blocking, and only when no process
 * is forked any more. */
void dev_report_print(const struct plan *p, const struct page *page,
                      double seconds);

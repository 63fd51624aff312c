#pragma once
/* Runs of a batch function over the events of its tables. */
#include "flow/batch/batch.h"

/* Calls the function until no record fails in it, or the batch is refused
 * (b->failures.refusal), or rows are missing (b->scripts.is_short). With
 * b->scripts.must_rerun the rows are not as they should be. */
void table_set_run(struct table_set *s, struct batch *b);
/* Calls it for what it asks for alone: nothing of it stays but rows to load. */
void table_set_try(struct table_set *s, struct batch *b);

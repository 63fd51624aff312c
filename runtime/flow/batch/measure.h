#pragma once
/* What a batch adds to the counters that people see, and to its own pace. */
#include "flow/batch/batch.h"
#include "flow/show/show.h"

void measure_committed(struct show *s, const struct batch *b);
/* A stage of the batch ended in which nothing else could run: sets its pace. */
void measure_step(struct show *s, struct batch *b, enum page_stage stage,
                  usec since);

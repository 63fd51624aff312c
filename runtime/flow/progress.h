#pragma once
/* What the supervisor and people see: lanes and gauges in the page. */
#include "flow/engine.h"

void progress_lane(struct engine *g, struct lane *lane);
void progress_lost(struct engine *g, struct lane *lane);
void progress_batch(struct engine *g, const struct batch *b);
/* Heartbeat and gauges; about four times a second. */
void progress_tick(struct engine *g);
void progress_stage(struct engine *g, enum page_stage stage, usec since);
/* Lists every partition of every topic; --until-end needs to know them all. */
void progress_all_lanes(struct engine *g, const int32_t *n_partitions);

#pragma once
/*
 * For the files of the engine: what comes of the consumer (engine_intake.c) and
 * how things stand in a worker, for people (engine_gauges.c).
 */
#include "flow/engine/engine.h"

/* Moves a bounded number of records into inboxes, and lanes into the states that
 * follow what the group gave and took; called every turn. */
void intake_turn(struct engine *g);
/* Tells Kafka the positions of the lanes, for lag tools: about once a second. */
void intake_tell(struct engine *g);
/* Heartbeat and gauges, ten times a second; all lanes about once. */
void gauges_tick(struct engine *g);

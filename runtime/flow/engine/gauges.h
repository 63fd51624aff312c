#pragma once
/* How things stand in a worker, for people. */

struct engine;

/* Heartbeat and gauges; about four times a second. */
void gauges_tick(struct engine *g);

#pragma once
/*
 * Carries the workers' stderr to the terminal, whole lines only, so that a
 * log line never lands in the middle of the live line. Used on a terminal, and
 * where lines are JSON: one that is not, since a library wrote it, becomes so.
 * Otherwise workers write themselves.
 */
#include "base/loop.h"
#include "supervise/live.h"

struct relay;

/* NULL when no pipe could be made: workers then write themselves. */
struct relay *relay_new(struct loop *l, struct live *live);
/* Passes on what is left. */
void relay_free(struct relay *r);
/* The end that becomes a worker's stderr. */
int relay_fd(const struct relay *r);

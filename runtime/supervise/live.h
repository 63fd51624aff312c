#pragma once
/*
 * What a person sees while a pipeline runs. On a terminal one line at the
 * bottom is rewritten each second; elsewhere a logfmt progress line comes
 * every ten. Invariant on a terminal: whenever somebody else may write, the
 * live line has been cleared and the cursor is in column 0. That is why the
 * workers' stderr runs through relay.h, and why the supervisor calls
 * live_clear() before each line of its own.
 */
#include <stddef.h>

#include "base/loop.h"
#include "model/page.h"

struct live;

struct live *live_new(const struct page *p);
/* Clears the line. */
void live_free(struct live *v);
/* Once a second. */
void live_tick(struct live *v, usec now);
void live_clear(struct live *v);
/* Prints whole lines of somebody else above the live line. */
void live_print(struct live *v, const char *text, size_t len);
bool live_is_terminal(const struct live *v);
/* The last line of a run; the rate is that since [from]. */
void live_summary(struct live *v, usec from, usec now);

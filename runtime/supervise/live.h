#pragma once
/*
 * What a person sees while a pipeline runs: on a terminal one line at the
 * bottom, which is rewritten each second; elsewhere a logfmt progress line
 * every ten seconds. What this process writes clears the line first
 * (base/stderr.h); what workers write runs through relay.h, which does so too.
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
/* Prints whole lines of somebody else above the live line. */
void live_print(struct live *v, const char *text, size_t len);
bool live_is_terminal(const struct live *v);
/* The last line of a run; the rate is that since [from]. failed and held are
 * the records that it set aside, dead_letters all that stand in the table. */
void live_summary(struct live *v, usec from, usec now);

#pragma once
/* The words of a lane that is read, and nothing comes of it. */
#include <stddef.h>

#include "base/loop.h"
#include "flow/lane/lane.h"
#include "model/page.h"

/* Since then, for people. */
int whole_seconds(usec from, usec now);
/* "": it is well. */
enum page_wait lane_waits(const struct lane *l, usec now, char *out,
                          size_t size);
/* The same without what it waits for in the database. */
enum page_wait lane_waits_for_kafka(const struct lane *l, usec now, char *out,
                                    size_t size);

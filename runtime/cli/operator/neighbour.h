#pragma once
/*
 * What the run of a pipeline on an admin port says of its waits: the database
 * knows halts, but not what a worker waits for.
 */
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum neighbour {
    NEIGHBOUR_NONE,   /* nobody answers there, or another pipeline */
    NEIGHBOUR_LOCKED, /* it wants a token */
    NEIGHBOUR_SAYS    /* [out] has its lines; none: all is well */
};

/* [admin]: HOST:PORT. Takes a second at most. */
enum neighbour neighbour_ask(const char *admin, const char *pipeline,
                             struct buf *out);

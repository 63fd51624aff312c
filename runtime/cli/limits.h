#pragma once
/* The limits of a process that a run needs more of than it may have. */
#include <stdint.h>

#include "base/err.h"

/*
 * File descriptors: raises the soft limit towards the hard one, as far as a run
 * with so many connections a worker may need. ERR_CONFIG when even the hard one
 * cannot do; when it may be short, a line of the log says so.
 */
bool limits_files(uint32_t connections, struct err *e) MUSTCHECK;

#pragma once
/* `tidemill run --dry-run`: what the next records would write, and nothing of it
 * stays. */
#include <stdint.h>

#include "cli/verb.h"

/* Up to [most] records from the positions on; the exit status. */
int run_dry(const struct verb *v, const char *path, uint32_t most);

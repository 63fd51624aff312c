#pragma once
/*
 * How long to wait before a failed thing is done again: doubles with each
 * failure in a row, up to a cap, with equal jitter (half fixed, half random),
 * so that it never collapses to nothing and workers do not march in step.
 * Pure: randomness comes in.
 */
#include <stdint.h>

#include "base/loop.h"

/* [failures] in a row, 1 or more; [random] any 32 bits. */
usec backoff_delay(uint32_t failures, usec floor, usec cap, uint32_t random);

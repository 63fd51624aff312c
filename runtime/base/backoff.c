/* See backoff.h. */
#include "base/backoff.h"

usec backoff_delay(uint32_t failures, usec floor, usec cap, uint32_t random)
{
    uint32_t doublings = failures > 1 ? failures - 1 : 0;
    usec base = floor << (doublings < 20 ? doublings : 20);

    base = base < cap ? base : cap;
    return base / 2 + (base / 2) * (random & 0xffff) / 0xffff;
}

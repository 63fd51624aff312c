#pragma once
/*
 * Numbers that nobody can foresee well, from a state that its owner seeds: the
 * same seed gives the same numbers. Not for secrets.
 */
#include <stdint.h>

struct random {
    uint64_t state; /* never 0 once it is seeded */
};

static inline void random_seed(struct random *r, uint64_t seed)
{
    r->state = seed * 0x9e3779b97f4a7c15 + 1;
    r->state += r->state == 0;
}

/* xorshift64*; one that was never seeded gives 0. */
static inline uint32_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * 0x2545f4914f6cdd1d) >> 32);
}

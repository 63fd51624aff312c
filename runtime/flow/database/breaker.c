/* See breaker.h. */
#include "flow/database/breaker.h"

#include <string.h>

#include "base/backoff.h"
#include "base/err.h"

static void set_state(struct breaker *k, enum breaker_state state)
{
    k->state = state;
    k->is_probing = false;
    k->era = k->era + 1 ? k->era + 1 : 1;
}

static void forget(struct breaker *k)
{
    k->next = k->n = k->n_failed = k->in_a_row = k->n_opened = 0;
    k->opened_at = 0;
}

void breaker_init(struct breaker *k, const struct breaker_limits *limits)
{
    must(limits->window >= 1 && limits->window <= BREAKER_WINDOW);
    memset(k, 0, sizeof(*k));
    k->limits = *limits;
    set_state(k, BREAKER_CLOSED);
}

static void see_time(struct breaker *k, usec now)
{
    k->now = now > k->now ? now : k->now;
}

bool breaker_allows(struct breaker *k, usec now)
{
    see_time(k, now);
    if (k->state == BREAKER_OPEN && k->now >= k->until) {
        set_state(k, BREAKER_HALF_OPEN);
    }
    return k->state == BREAKER_CLOSED ||
           (k->state == BREAKER_HALF_OPEN && !k->is_probing);
}

uint32_t breaker_try(struct breaker *k)
{
    must(k->state == BREAKER_CLOSED ||
         (k->state == BREAKER_HALF_OPEN && !k->is_probing));
    k->is_probing = k->state == BREAKER_HALF_OPEN;
    return k->era;
}

static void note(struct breaker *k, bool has_failed)
{
    if (k->n == k->limits.window) {
        k->n_failed -= k->failed[k->next];
    } else {
        k->n++;
    }
    k->failed[k->next] = has_failed;
    k->n_failed += has_failed;
    k->in_a_row = has_failed ? k->in_a_row + 1 : 0;
    k->next = (k->next + 1) % k->limits.window;
}

static bool is_too_much(const struct breaker *k)
{
    return k->n_failed >= k->limits.failures &&
           (k->n_failed >= k->limits.ratio * k->n ||
            k->in_a_row >= k->limits.failures);
}

bool breaker_succeeded(struct breaker *k, uint32_t ticket)
{
    if (ticket != k->era) {
        return false;
    }
    if (k->state == BREAKER_HALF_OPEN) {
        set_state(k, BREAKER_CLOSED);
        forget(k);
        return true;
    }
    note(k, false);
    return false;
}

bool breaker_failed(struct breaker *k, uint32_t ticket, usec now,
                    uint32_t random)
{
    see_time(k, now);
    if (ticket != k->era) {
        return false;
    }
    note(k, true);
    if (k->state == BREAKER_CLOSED && !is_too_much(k)) {
        return false;
    }
    k->opened_at = k->n_opened++ ? k->opened_at : k->now;
    k->until = k->now + backoff_delay(k->n_opened, k->limits.open,
                                      k->limits.open_max, random);
    set_state(k, BREAKER_OPEN);
    return true;
}

void breaker_withdrawn(struct breaker *k, uint32_t ticket)
{
    if (ticket == k->era) {
        k->is_probing = false;
    }
}

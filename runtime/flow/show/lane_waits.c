/* See lane_waits.h. */
#include "flow/show/lane_waits.h"

#include <inttypes.h>
#include <stdio.h>

#define SECONDS 1000000ULL

static const usec TROUBLE_USEC = 10 * SECONDS;
static const usec STARVED_USEC = 30 * SECONDS;
/* What brokers let a transaction last, if nobody says otherwise. */
static const usec OPEN_USEC = 900 * SECONDS;

int whole_seconds(usec from, usec now)
{
    return now > from ? (int)((now - from) / SECONDS) : 0;
}

static bool lasts(usec since, usec now, usec limit)
{
    return since && now >= since + limit;
}

/* What Kafka said, or why it could not be claimed; "": nothing. */
static const char *trouble_of(const struct lane *l, usec *since)
{
    const struct partition *p = l->kafka;
    bool is_of_claim =
        lane_is_left_out(l) && l->left_out.why[0] && !p->has_no_leader;

    *since = p->trouble[0] ? p->troubled_at : 0;
    if (!is_of_claim) {
        return p->trouble;
    }
    *since = *since && *since < l->left_out.since ? *since : l->left_out.since;
    return l->left_out.why;
}

enum page_wait lane_waits_for_kafka(const struct lane *l, usec now, char *out,
                                    size_t size)
{
    const struct partition *p = l->kafka;
    usec since = 0;
    const char *why = trouble_of(l, &since);

    out[0] = '\0';
    if (why[0]) {
        snprintf(out, size, "%s", why);
        return lasts(since, now, TROUBLE_USEC) ? WAIT_BLOCKED : WAIT_NOTED;
    }
    if (lasts(p->open_since, now, TROUBLE_USEC)) {
        snprintf(out, size,
                 "%" PRId64 " records from offset %" PRId64 " on stand behind "
                 "a transaction that its producer has neither committed nor "
                 "aborted for %d s: they are read when it ends; one that hangs "
                 "is found with kafka-transactions.sh find-hanging",
                 p->high - p->eof, p->eof, whole_seconds(p->open_since, now));
        return lasts(p->open_since, now, OPEN_USEC) ? WAIT_BLOCKED : WAIT_NOTED;
    }
    if (lasts(p->starved_since, now, STARVED_USEC)) {
        snprintf(out, size,
                 "nothing has come for %d s though Kafka has records up to "
                 "offset %" PRId64 ": see the broker that leads it, and its "
                 "quotas",
                 whole_seconds(p->starved_since, now), p->high);
        return WAIT_NOTED;
    }
    return WAIT_NONE;
}

enum page_wait lane_waits(const struct lane *l, usec now, char *out,
                          size_t size)
{
    if (l->wait.is_shown) { /* told, and taken from readiness, by held_up.c */
        snprintf(out, size, "%s", l->wait.reason);
        return WAIT_NOTED;
    }
    return lane_waits_for_kafka(l, now, out, size);
}

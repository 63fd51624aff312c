/* See lane_waits.h. */
#include "flow/show/lane_waits.h"

#include <inttypes.h>
#include <stdio.h>

#include "flow/lane/dossier.h"

#define SECONDS 1000000ULL

static const usec TROUBLE_USEC = 10 * SECONDS;
static const usec STARVED_USEC = 30 * SECONDS;
/* What brokers let a transaction last, if nobody says otherwise. */
static const usec OPEN_USEC = 900 * SECONDS;

static int whole_seconds(usec from, usec now)
{
    return now > from ? (int)((now - from) / SECONDS) : 0;
}

static bool lasts(usec since, usec now, usec limit)
{
    return since && now >= since + limit;
}

enum page_wait lane_waits_for_kafka(const struct lane *l, usec now, char *out,
                                    size_t size)
{
    out[0] = '\0';
    if (l->trouble[0]) {
        snprintf(out, size, "%s", l->trouble);
        return lasts(l->troubled_at, now, TROUBLE_USEC) ? WAIT_BLOCKED
                                                        : WAIT_NOTED;
    }
    if (lasts(l->open_since, now, TROUBLE_USEC)) {
        snprintf(out, size,
                 "%" PRId64 " records from offset %" PRId64 " on stand behind "
                 "a transaction that its producer has neither committed nor "
                 "aborted for %d s: they are read when it ends; one that hangs "
                 "is found with kafka-transactions.sh find-hanging",
                 l->high - l->eof, l->eof, whole_seconds(l->open_since, now));
        return lasts(l->open_since, now, OPEN_USEC) ? WAIT_BLOCKED : WAIT_NOTED;
    }
    if (lasts(l->starved_since, now, STARVED_USEC)) {
        snprintf(out, size,
                 "nothing has come for %d s though Kafka has records up to "
                 "offset %" PRId64 ": see the broker that leads it, and its "
                 "quotas",
                 whole_seconds(l->starved_since, now), l->high);
        return WAIT_NOTED;
    }
    return WAIT_NONE;
}

enum page_wait lane_waits(const struct lane *l, usec now, char *out,
                          size_t size)
{
    const struct dossier *d = l->dossier;

    if (d && d->is_shown) { /* told, and taken from readiness, by conflict.c */
        snprintf(out, size, "%s", d->waits);
        return WAIT_NOTED;
    }
    return lane_waits_for_kafka(l, now, out, size);
}

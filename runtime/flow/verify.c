/* See verify.h. */
#include "flow/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* The broker must still have everything from the position on. */
static bool check_range(const struct position *at, const struct verify_facts *f,
                        struct err *e)
{
    if (at->next_offset < f->low) {
        return err_set(
            e, ERR_CONFIG,
            "%s/%d: records %" PRId64 " to %" PRId64
            " are gone from Kafka (retention) before they were applied; "
            "nothing is skipped by itself: restore them and say `tidemill lane "
            "resume`, or go on without them with `tidemill lane seek` to "
            "%" PRId64,
            at->topic, at->partition, at->next_offset, f->low - 1, f->low);
    }
    if (at->next_offset > f->high) {
        return err_set(
            e, ERR_CONFIG,
            "%s/%d: the position %" PRId64
            " is behind the end of the partition (%" PRId64
            "): the topic was created again, or truncated; say where reading "
            "should go on with `tidemill lane seek` (its first record is "
            "%" PRId64 ")",
            at->topic, at->partition, at->next_offset, f->high, f->low);
    }
    return true;
}

#define OLDER                                                                  \
    "a backup was restored, or a failover lost commits. Rows and positions "   \
    "agree: `tidemill lane resume` goes on at %" PRId64                        \
    " and applies the records again, once to these tables"

/* The database must not have gone back behind what was seen of it. A claim
 * raises the epoch, so one that is not greater is of an older row. */
static bool check_age(const struct position *at, const struct verify_facts *f,
                      struct err *e)
{
    if (at->epoch <= f->epoch || at->next_offset < f->position) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the database went back: position %" PRId64
                       ", epoch %" PRId64 "; this worker has seen %" PRId64
                       ", epoch %" PRId64 ": " OLDER,
                       at->topic, at->partition, at->next_offset, at->epoch,
                       f->position, f->epoch, at->next_offset);
    }
    if (f->has_told && f->told > at->next_offset) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the database is older than what Kafka was told: "
                       "position %" PRId64 ", told %" PRId64
                       " (if no other tool moved the group's offset): " OLDER,
                       at->topic, at->partition, at->next_offset, f->told,
                       at->next_offset);
    }
    return true;
}

bool verify_position(const struct position *at, const struct verify_facts *f,
                     struct err *e)
{
    if (at->halted) {
        return err_set(e, ERR_CONFIG, "%s", at->halted);
    }
    return check_range(at, f, e) && (at->is_rewound || check_age(at, f, e));
}

bool verify_settles(const struct position *at, const struct verify_facts *f)
{
    return at->is_rewound && f->has_told && f->told <= at->next_offset;
}

bool verify_has_anchor(const struct position *at, const struct verify_facts *f)
{
    return at->has_anchor && !at->is_rewound && at->next_offset > f->low;
}

static const char *print_time(int64_t ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    if (ms < 0 || !gmtime_r(&seconds, &tm)) {
        return "none";
    }
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03dZ", (int)(ms % 1000));
    return out;
}

void verify_replaced(const struct lane *l, struct err *e)
{
    char found[40], applied[40], what[120] = "its key or value differs";

    if (l->found.ms != l->anchor.ms) {
        snprintf(what, sizeof(what), "its time is %s, was %s",
                 print_time(l->found.ms, found, sizeof(found)),
                 print_time(l->anchor.ms, applied, sizeof(applied)));
    }
    err_set(e, ERR_CONFIG,
            "%s/%d: offset %" PRId64
            " holds another record than the one that was applied (%s): the "
            "topic was created again, or rewritten; say where reading should "
            "go on with `tidemill lane seek`, or go on at %" PRId64
            " with `tidemill lane resume`",
            l->topic, l->partition, l->position - 1, what, l->position);
}

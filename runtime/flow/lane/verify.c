/* See verify.h. */
#include "flow/lane/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* The broker must still have everything from the position on. */
static bool check_range(const struct position *at, const struct verify_facts *f,
                        struct err *e)
{
    if (at->next_offset < 0) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: what tidemill.lane holds of it is no position: "
                       "the row was damaged, or changed by hand; say where "
                       "reading should go on with `tidemill lane seek`",
                       at->topic, at->partition);
    }
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
            " is past the end of the partition (%" PRId64
            "): the topic was created again, or truncated; say where reading "
            "should go on with `tidemill lane seek` (its first record is "
            "%" PRId64 ")",
            at->topic, at->partition, at->next_offset, f->high, f->low);
    }
    return true;
}

static int64_t greater(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#define OLDER                                                                  \
    "a backup was restored, or a failover lost commits. "                      \
    "`tidemill lane resume` goes on at %" PRId64                               \
    ": right if the rows went back too. If not: `tidemill lane seek` to "      \
    "%" PRId64

/* The group offset comes behind the commit, and a run that is killed does not
 * tell its last second. */
#define MAY_LAG " (behind the tables if a run was killed; or another tool's): "

/* A person's change raises the epoch, and so does the claim behind it: what is
 * rewound one epoch behind the one that was seen was so before. A row of the
 * same time as the last claim, from a backup, looks like that. */
static bool is_trusted(const struct position *at, const struct verify_facts *f)
{
    return at->is_rewound && at->epoch > f->epoch &&
           (!f->was_rewound || f->epoch == 0 || at->epoch > f->epoch + 1);
}

/* The database must not have gone back behind what was seen of it. A claim
 * raises the epoch, so one that is not greater is of an older row. */
static bool check_seen(const struct position *at, const struct verify_facts *f,
                       struct err *e)
{
    if (at->epoch <= f->epoch || at->next_offset < f->position) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the database went back: position %" PRId64
                       ", epoch %" PRId64 "; this worker has seen %" PRId64
                       ", epoch %" PRId64 ": " OLDER,
                       at->topic, at->partition, at->next_offset, at->epoch,
                       f->position, f->epoch, at->next_offset,
                       greater(f->position, at->next_offset));
    }
    return true;
}

static bool check_group_offset(const struct position *at,
                               const struct verify_facts *f, struct err *e)
{
    if (!at->is_rewound && f->has_group_offset &&
        f->group_offset > at->next_offset) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the database is older than the group offset: "
                       "position %" PRId64
                       ", group offset %" PRId64 MAY_LAG OLDER,
                       at->topic, at->partition, at->next_offset,
                       f->group_offset, at->next_offset, f->group_offset);
    }
    return true;
}

bool verify_position(const struct position *at, const struct verify_facts *f,
                     struct err *e)
{
    if (at->halted) {
        return err_set(e, ERR_CONFIG, "%s",
                       at->halted[0] ? at->halted
                                     : "tidemill.lane says that it is halted, "
                                       "and not why: `tidemill lane resume` "
                                       "lets it go on");
    }
    return check_range(at, f, e) &&
           (is_trusted(at, f) ||
            (check_seen(at, f, e) && check_group_offset(at, f, e)));
}

#define GONE                                                                   \
    "tidemill.lane was emptied. `tidemill lane resume` goes on at %" PRId64    \
    ", if the tables kept their rows; if they are empty too: "                 \
    "`tidemill lane seek` to %" PRId64

bool verify_missing(const char *topic, int32_t partition, int64_t begin,
                    const struct verify_facts *f, int64_t *at, struct err *e)
{
    int64_t group_offset = f->has_group_offset ? f->group_offset : -1;

    *at = greater(f->position, group_offset);
    *at = *at >= 0 ? *at : begin;
    if (f->epoch > 0) {
        return err_set(e, ERR_CONFIG,
                       "%s/%d: the database went back: it has no position of "
                       "this lane; this worker has seen %" PRId64
                       ", epoch %" PRId64 ": " GONE,
                       topic, partition, f->position, f->epoch, *at, begin);
    }
    if (group_offset > f->low && group_offset != begin) {
        return err_set(
            e, ERR_CONFIG,
            "%s/%d: the database is older than the group offset: "
            "it has no position of this lane, group offset %" PRId64 MAY_LAG
                GONE,
            topic, partition, group_offset, *at, begin);
    }
    return true;
}

bool verify_ends_rewound(const struct position *at,
                         const struct verify_facts *f)
{
    return at->is_rewound && f->has_group_offset &&
           f->group_offset <= at->next_offset;
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
    const struct partition *p = l->kafka;
    char found[40], applied[40], what[120] = "its key or value differs";

    if (p->found.ms != p->anchor.ms) {
        snprintf(what, sizeof(what), "its time is %s, was %s",
                 print_time(p->found.ms, found, sizeof(found)),
                 print_time(p->anchor.ms, applied, sizeof(applied)));
    }
    err_set(e, ERR_CONFIG,
            "%s/%d: offset %" PRId64
            " holds another record than the one that was applied (%s): the "
            "topic was created again, or rewritten; say where reading should "
            "go on with `tidemill lane seek`, or go on at %" PRId64
            " with `tidemill lane resume`",
            l->topic, l->partition, l->position - 1, what, l->position);
}

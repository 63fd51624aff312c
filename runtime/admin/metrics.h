#pragma once
/*
 * The table of metrics, from which /metrics, /status and the list in README.md
 * are made. A metric is one line of it, which says where in the page its value is:
 * so each of its series is there from the first scrape on, as 0.
 */
#include "admin/view.h"
#include "base/buf.h"

enum metric_kind {
    METRIC_COUNTER, /* never falls during a run; its name ends in _total */
    METRIC_GAUGE,
    METRIC_HISTOGRAM, /* struct page_times */
    METRIC_KINDS
};
/* How much of the page makes 1 for people, whose times are seconds. */
enum metric_unit {
    UNIT_FLAG, /* 1 unless it is 0 */
    UNIT_NUMBER = 1,
    UNIT_BYTES = 1,
    UNIT_MSEC = 1000,
    UNIT_USEC = 1000 * 1000
};
/* What has the values: the page, one of its workers, one of its lanes. */
enum metric_group {
    OF_BUILD,
    OF_RUN,
    OF_PROCESS,  /* the supervisor; process_ stands in front of its names */
    OF_WORKER,   /* worker_ stands in front of its names */
    OF_COUNTERS, /* of a worker */
    OF_GAUGES,   /* of a worker */
    OF_TABLE,    /* table_ stands in front of its names */
    OF_LANE,     /* lane_ stands in front of its names */
    METRIC_GROUPS
};

struct metric {
    const char *name; /* as in /status: without prefix and _total */
    const char *help;
    enum metric_kind kind;
    enum metric_unit unit;
    enum metric_group group;
    uint32_t offset; /* in the page's worker or lane, */
    uint32_t size;   /* of one value there; those of 4 bytes have no sign */
    int64_t (*read)(const void *entry); /* what no field holds */
    const uint64_t *bounds;             /* of a histogram */
    const char *label; /* NULL: one value; else one a word, side by side */
    /* Of the label, NULL behind the last; without label of the value, and
     * /status has it in place of the number. */
    const char *(*word)(uint32_t i);
};

extern const struct metric metrics[]; /* ends with one that has no name */

/* The [i]th page, worker, table or lane; NULL: there are no more. */
const void *metric_entry(const struct page *p, enum metric_group group,
                         uint32_t i);
/* Where a value is, that of the label's [i]th word; and what it is, in units of
 * the page. A histogram begins with its sum. */
const void *metric_at(const struct metric *m, const void *entry, uint32_t i);
int64_t metric_value(const struct metric *m, const void *entry, uint32_t i);

/* /metrics: Prometheus text, format 0.0.4. */
void metrics_write(const struct admin_view *v, struct buf *out);
/* /status: the same and what the page has in words, as JSON for people and
 * scripts. */
void status_write(const struct admin_view *v, struct buf *out);

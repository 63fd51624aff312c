#pragma once
/*
 * Rows of tidemill.lane as people see and change them. Every change raises the
 * epoch: the lane's owner fails its next compare-and-set, claims the lane anew
 * and so reads what was changed. A change holds only for the row that was
 * shown; one that has moved since is left alone. One that only ends a halt holds
 * for whoever owns the lane by now, if it stands where it was shown, for the same
 * reason.
 */
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "postgres/operator/operator_connection.h"

struct lane_row {
    const char *topic;
    int32_t partition;
    int64_t next_offset;
    int64_t epoch;
    const char *owner;             /* NULL: none yet */
    const char *updated;           /* times: 2026-11-24T06:04:22Z */
    const char *halted;            /* why; NULL: it is not halted */
    const char *halted_at;         /* may be NULL */
    const char *halted_generation; /* may be NULL */
    int64_t n_failed, n_held;      /* its dead letters */
    int64_t last_letter;           /* greatest offset of them; -1: none */
};

struct lane_rows {
    struct arena arena; /* owns all texts */
    struct lane_row *at;
    uint32_t n;
};

struct lane_change {
    const struct lane_row *shown;
    const char *action;  /* "lane skip" */
    const char *reason;  /* may be NULL */
    int64_t to;          /* the new position; may be the old one */
    bool may_have_moved; /* the lane may run on while people look */
};

/* Lanes of the pipeline by topic and partition; NULL and -1: all of them.
 * lane_rows_close() also after a failure. */
bool lane_rows_load(struct operator_connection *c, const char *topic,
                    int64_t partition, struct lane_rows *out,
                    struct err *e) MUSTCHECK;
/* NULL: the lane has no row, since no run has claimed it. */
const struct lane_row *lane_rows_find(const struct lane_rows *rows,
                                      const char *topic, int32_t partition);
void lane_rows_close(struct lane_rows *rows);
/*
 * All of them or none, with a row of tidemill.audit each. A halt ends, and the
 * lane's anchor goes: whoever changed it has looked. ERR_CONFLICT: a lane is
 * not any more what was shown.
 */
bool lane_rows_change(struct operator_connection *c,
                      const struct lane_change *changes, uint32_t n,
                      struct err *e) MUSTCHECK;

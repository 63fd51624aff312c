/* See lane_row.h. */
#include "postgres/operator/lane_row.h"

#include <string.h>

#include "postgres/wire/result.h"

#define ISO "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define LANE                                                                   \
    "pipeline = $1 AND stream = 'main' AND topic = $2 AND partition = $3::int"

static const char LIST[] =
    "SELECT l.topic, l.partition, coalesce(l.next_offset, -1), l.epoch, "
    "l.owner, "
    "to_char(l.updated_at AT TIME ZONE 'UTC', " ISO ", l.halted, "
    "to_char(l.halted_at AT TIME ZONE 'UTC', " ISO ", l.halted_generation, "
    "coalesce(d.n_failed, 0), coalesce(d.n_held, 0), coalesce(d.last, -1) "
    "FROM tidemill.lane l LEFT JOIN (SELECT topic, partition, "
    "count(*) FILTER (WHERE state = 'failed') AS n_failed, "
    "count(*) FILTER (WHERE state = 'held') AS n_held, "
    "max(\"offset\") AS last FROM tidemill.dead_letter "
    "WHERE pipeline = $1 AND stream = 'main' GROUP BY topic, partition) AS d "
    "USING (topic, partition) WHERE l.pipeline = $1 AND l.stream = 'main' "
    "AND ($2::text IS NULL OR topic = $2) "
    "AND ($3::bigint IS NULL OR partition = $3::bigint) "
    "ORDER BY topic COLLATE \"C\", partition";

enum list_field {
    LIST_TOPIC,
    LIST_PARTITION,
    LIST_NEXT_OFFSET,
    LIST_EPOCH,
    LIST_OWNER,
    LIST_UPDATED,
    LIST_HALTED,
    LIST_HALTED_AT,
    LIST_HALTED_GENERATION,
    LIST_FAILED,
    LIST_HELD,
    LIST_LAST
};

static const char *copy(struct arena *a, const struct pg_result *r, int row,
                        int column)
{
    int len;
    const char *text = pg_value(r, row, column, &len);
    return text ? arena_dup(a, text, (size_t)len) : NULL;
}

static void read_row(struct arena *a, const struct pg_result *r, int i,
                     struct lane_row *out)
{
    *out = (struct lane_row){.topic = copy(a, r, i, LIST_TOPIC),
                             .partition = (int32_t)pg_int(r, i, LIST_PARTITION),
                             .next_offset = pg_int(r, i, LIST_NEXT_OFFSET),
                             .epoch = pg_int(r, i, LIST_EPOCH),
                             .owner = copy(a, r, i, LIST_OWNER),
                             .updated = copy(a, r, i, LIST_UPDATED),
                             .halted = copy(a, r, i, LIST_HALTED),
                             .halted_at = copy(a, r, i, LIST_HALTED_AT),
                             .halted_generation =
                                 copy(a, r, i, LIST_HALTED_GENERATION),
                             .n_failed = pg_int(r, i, LIST_FAILED),
                             .n_held = pg_int(r, i, LIST_HELD),
                             .last_letter = pg_int(r, i, LIST_LAST)};
}

/* NULL and -1: any. */
static struct params *lane_params(struct operator_connection *c,
                                  const char *topic, int64_t partition)
{
    struct params *ps = operator_connection_params(c);

    params_text(ps, c->plan->name);
    params_text(ps, topic);
    params_natural(ps, partition);
    return ps;
}

bool lane_rows_load(struct operator_connection *c, const char *topic,
                    int64_t partition, struct lane_rows *out, struct err *e)
{
    *out = (struct lane_rows){0};
    arena_init(&out->arena, 0);
    struct pg_result *r =
        operator_connection_ask(c, LIST, lane_params(c, topic, partition), e);
    if (!r) {
        return false;
    }
    out->n = (uint32_t)pg_rows(r);
    out->at = arena_zero(&out->arena, (out->n + 1) * sizeof(*out->at));
    for (uint32_t i = 0; i < out->n; i++) {
        read_row(&out->arena, r, (int)i, &out->at[i]);
    }
    operator_connection_free(r);
    return true;
}

const struct lane_row *lane_rows_find(const struct lane_rows *rows,
                                      const char *topic, int32_t partition)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct lane_row *row = &rows->at[i];

        if (row->partition == partition && strcmp(row->topic, topic) == 0) {
            return row;
        }
    }
    return NULL;
}

void lane_rows_close(struct lane_rows *rows)
{
    arena_close(&rows->arena);
}

/* Locked first, so that the letters which the next statement sees are all
 * that the lane's owner has written. */
static const char LOCK[] =
    "SELECT epoch FROM tidemill.lane WHERE " LANE " FOR UPDATE";

/* $4 to, $5 epoch, $6 and $7 where the position may be by now, $8 the halt.
 * Letters from $4 on would be read a second time. */
static const char CHANGE[] =
    "WITH w AS (UPDATE tidemill.lane SET epoch = epoch + 1, "
    "next_offset = $4::bigint, halted = NULL, halted_at = NULL, "
    "halted_generation = NULL, is_rewound = true, anchor_ms = NULL, "
    "anchor_hash = NULL, updated_at = now() WHERE " LANE
    " AND epoch = $5::bigint "
    "AND coalesce(next_offset, -1) BETWEEN $6::bigint AND $7::bigint "
    "AND halted IS NOT DISTINCT FROM $8::text "
    "AND ($4::bigint = $6::bigint OR NOT EXISTS (SELECT 1 "
    "FROM tidemill.dead_letter WHERE " LANE " AND \"offset\" >= $4::bigint)) "
    "RETURNING epoch, next_offset, halted, is_rewound) "
    "INSERT INTO tidemill.audit (who, action, pipeline, topic, partition, "
    "detail) SELECT $9::text, $10::text, $1::text, $2::text, $3::int, "
    "jsonb_strip_nulls(jsonb_build_object("
    "'from', (SELECT next_offset FROM tidemill.lane WHERE " LANE "), "
    "'to', $4::bigint, 'epoch', w.epoch, 'halted', $8::text, "
    "'reason', $11::text)) FROM w WHERE next_offset = $4::bigint "
    "AND epoch = $5::bigint + 1 AND halted IS NULL AND is_rewound RETURNING 1";

/* The greatest position at which the change still is what was said of it. */
static int64_t most_position(const struct lane_change *change)
{
    int64_t shown = change->shown->next_offset;
    if (!change->may_have_moved) {
        return shown;
    }
    return change->to < shown ? INT64_MAX : change->to;
}

/* Where the position stays, an owner that has claimed the lane since changes nothing
 * of what was shown: it does so within a second of a `dlq discard`. */
static int64_t known_epoch(const struct lane_change *change,
                           const struct pg_result *locked)
{
    bool stays = change->to == change->shown->next_offset;

    return stays && pg_rows(locked) == 1 ? pg_int(locked, 0, 0)
                                         : change->shown->epoch;
}

static struct pg_result *ask_change(struct operator_connection *c,
                                    const struct lane_change *change,
                                    int64_t epoch, struct err *e)
{
    const struct lane_row *shown = change->shown;
    struct params *ps = lane_params(c, shown->topic, shown->partition);

    params_int8(ps, change->to);
    params_int8(ps, epoch);
    params_int8(ps, shown->next_offset);
    params_int8(ps, most_position(change));
    params_text(ps, shown->halted);
    params_text(ps, c->who);
    params_text(ps, change->action);
    params_text(ps, change->reason);
    return operator_connection_ask(c, CHANGE, ps, e);
}

static bool change_one(struct operator_connection *c,
                       const struct lane_change *change, struct err *e)
{
    const struct lane_row *shown = change->shown;
    struct params *ps = lane_params(c, shown->topic, shown->partition);
    struct pg_result *locked = operator_connection_ask(c, LOCK, ps, e);
    struct pg_result *r =
        locked ? ask_change(c, change, known_epoch(change, locked), e) : NULL;
    bool ok = r && pg_rows(r) == 1;
    if (r && !ok) {
        err_set(e, ERR_CONFLICT,
                "%s/%d changed meanwhile, so nothing was done: look again "
                "with `tidemill lane list`; if it is the same there, a trigger "
                "or a policy on tidemill.lane or tidemill.audit keeps the "
                "change back, which `tidemill check` names",
                shown->topic, shown->partition);
    }
    operator_connection_free(locked);
    operator_connection_free(r);
    return ok;
}

bool lane_rows_change(struct operator_connection *c,
                      const struct lane_change *changes, uint32_t n,
                      struct err *e)
{
    bool ok = operator_connection_begin(c, e);
    for (uint32_t i = 0; i < n && ok; i++) {
        ok = change_one(c, &changes[i], e);
    }
    if (ok) {
        return operator_connection_commit(c, e);
    }
    operator_connection_rollback(c);
    return false;
}

/* Positions in tidemill.lane, see position.h. Every statement names the
 * stream: positions of a projection that is being rebuilt live beside main's
 * and must never move with them. */
#include "postgres/store/position.h"

#include <string.h>

struct params *lane_params(struct pgconn *c, const struct plan *p,
                           const char *topic, int32_t partition)
{
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    params_text(ps, topic);
    params_int4(ps, partition);
    return ps;
}

/* What another generation of the pipeline ($6) is to meet again itself. */
#define VOID_HALT "CASE WHEN halted_generation <> $6 THEN NULL ELSE "
#define END_VOID_HALT                                                          \
    "halted = " VOID_HALT "halted END, halted_at = " VOID_HALT                 \
    "halted_at END, halted_generation = " VOID_HALT "halted_generation END"

/* One UPDATE a lane, since one over several promises no order of locks, and does
 * not say which lane it was refused for. */
void position_claim(struct pgconn *c, const struct plan *p, const char *owner,
                    const struct position *lanes, uint32_t n)
{
    static const char claim[] =
        "UPDATE tidemill.lane SET epoch = greatest(epoch, 0) + 1, owner = $4, "
        "group_id = $5, generation = $6, updated_at = now(), " END_VOID_HALT
        " WHERE " LANE_ROWS
        " RETURNING next_offset, epoch, is_rewound, anchor_ms, anchor_hash, "
        "halted, extract(epoch FROM halted_at)::int8";
    for (uint32_t i = 0; i < n; i++) {
        struct params *ps =
            lane_params(c, p, lanes[i].topic, lanes[i].partition);
        params_text(ps, owner);
        params_text(ps, p->source.group);
        params_text(ps, p->hash);
        pgconn_add(c, claim, ps);
    }
}

static int64_t int_or(const struct pg_result *row, int column, int64_t absent)
{
    int len;
    return pg_value(row, 0, column, &len) ? pg_int(row, 0, column) : absent;
}

static void read_claimed(const struct pg_result *row, struct position *at)
{
    int len;
    at->found = pg_rows(row) == 1;
    if (!at->found) {
        return;
    }
    at->next_offset = int_or(row, 0, -1);
    at->epoch = pg_int(row, 0, 1);
    at->is_rewound = int_or(row, 2, 0) != 0;
    at->has_anchor = pg_value(row, 0, 4, &len) != NULL;
    at->anchor = (struct anchor){int_or(row, 3, -1), int_or(row, 4, 0)};
    at->halted = pg_value(row, 0, 5, &len) ? pg_str(row, 0, 5) : NULL;
    at->halted_since = int_or(row, 6, 0);
}

void position_claimed(const struct pgreply *r, int first,
                      struct position *lanes, uint32_t n)
{
    must(r->ok && r->n_results >= first + (int)n);
    for (uint32_t i = 0; i < n; i++) {
        lanes[i] = (struct position){.topic = lanes[i].topic,
                                     .partition = lanes[i].partition};
        read_claimed(r->results[first + (int)i], &lanes[i]);
    }
}

void position_create(struct pgconn *c, const struct plan *p,
                     const struct position *first)
{
    static const char create[] =
        "INSERT INTO tidemill.lane (pipeline, stream, topic, partition, "
        "next_offset, group_id, generation, epoch, halted, halted_at, "
        "anchor_ms) "
        "VALUES ($1, 'main', $2, $3, $4, $5, $6, $7, $8, "
        "CASE WHEN $8 IS NOT NULL THEN now() END, $9) ON CONFLICT "
        "DO NOTHING";
    bool is_unbegun = first->next_offset == POSITION_UNBEGUN;
    struct params *ps = lane_params(c, p, first->topic, first->partition);
    params_int8(ps, first->next_offset);
    params_text(ps, p->source.group);
    params_text(ps, p->hash);
    params_int8(ps, first->epoch);
    params_text(ps, first->halted);
    params_natural(ps, is_unbegun ? first->anchor.ms : -1);
    pgconn_add(c, create, ps);
}

void position_begin(struct pgconn *c, const struct plan *p,
                    const struct position *at, int64_t offset)
{
    static const char begin[] = "UPDATE tidemill.lane SET next_offset "
                                "= $6, anchor_ms = NULL WHERE " LANE_ROWS
                                " AND epoch = $4 AND next_offset = $5";
    struct params *ps = lane_params(c, p, at->topic, at->partition);
    params_int8(ps, at->epoch);
    params_int8(ps, POSITION_UNBEGUN);
    params_int8(ps, offset);
    pgconn_add(c, begin, ps);
}

/*
 * Of a locked row xmax is who locks it, unless several share it. Another role's
 * session shows little of itself, but its number, role and name.
 */
void position_ask_holder(struct pgconn *c, const struct plan *p,
                         const char *topic, int32_t partition)
{
    static const char ask[] =
        "SELECT CASE WHEN x.gid IS NOT NULL THEN format('the prepared "
        "transaction %L of role %s', x.gid, x.owner) ELSE format('session %s "
        "of role %s%s%s', k.pid, a.usename, ' (' || "
        "nullif(a.application_name, '') || ')', ', ' || a.state || "
        "' since ' || to_char(a.state_change AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) END "
        "FROM tidemill.lane AS l JOIN pg_locks AS k ON k.granted AND "
        "k.pid IS DISTINCT FROM pg_backend_pid() AND "
        "(k.locktype = 'transactionid' AND k.mode = 'ExclusiveLock' "
        "AND k.transactionid = l.xmax OR k.locktype = 'relation' "
        "AND k.relation = 'tidemill.lane'::regclass AND k.mode IN "
        "('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "
        "'AccessExclusiveLock')) "
        "LEFT JOIN pg_stat_activity AS a ON a.pid = k.pid "
        "LEFT JOIN pg_prepared_xacts AS x ON x.transaction = k.transactionid "
        "WHERE " LANE_ROWS " LIMIT 1";
    struct params *ps = lane_params(c, p, topic, partition);
    pgconn_add(c, ask, ps);
}

void position_move(struct pgconn *c, const struct plan *p,
                   const struct position_step *step)
{
    static const char move[] =
        "WITH w AS (UPDATE tidemill.lane SET next_offset = $6, "
        "generation = $7, anchor_ms = $8, anchor_hash = $9, "
        "is_rewound = is_rewound AND NOT $10, "
        "updated_at = now() WHERE " LANE_ROWS
        " AND epoch = $4 AND next_offset = $5 RETURNING next_offset) "
        "SELECT tidemill.must((SELECT count(*) = 1 AND min(next_offset) = $6 "
        "FROM w), 'TM001')";
    struct params *ps = lane_params(c, p, step->topic, step->partition);
    params_int8(ps, step->epoch);
    params_int8(ps, step->from);
    params_int8(ps, step->to);
    params_text(ps, p->hash);
    params_int8(ps, step->anchor.ms);
    params_int8(ps, step->anchor.hash);
    params_bool(ps, step->ends_rewound);
    pgconn_add(c, move, ps);
}

void position_fence(struct pgconn *c, const struct plan *p, const char *topic,
                    int32_t partition, int64_t epoch, int64_t at)
{
    static const char fence[] =
        "WITH w AS (SELECT 1 FROM tidemill.lane WHERE " LANE_ROWS
        " AND epoch = $4 AND next_offset = $5 FOR UPDATE) "
        "SELECT tidemill.must((SELECT count(*) FROM w) = 1, 'TM001')";
    struct params *ps = lane_params(c, p, topic, partition);
    params_int8(ps, epoch);
    params_int8(ps, at);
    pgconn_add(c, fence, ps);
}

/* The anchor may be of the position that a person moved away from. */
void position_end_rewound(struct pgconn *c, const struct plan *p,
                          const struct position *at)
{
    static const char end_rewound[] =
        "UPDATE tidemill.lane SET is_rewound = false, anchor_ms = NULL, "
        "anchor_hash = NULL WHERE " LANE_ROWS
        " AND epoch = $4 AND next_offset = $5";
    struct params *ps = lane_params(c, p, at->topic, at->partition);
    params_int8(ps, at->epoch);
    params_int8(ps, at->next_offset);
    pgconn_add(c, end_rewound, ps);
}

/* Whether the row has it, or is no longer ours. The lock comes first: behind it
 * nobody else changes the row between the two looks. */
#define HALT                                                                   \
    "WITH l AS MATERIALIZED (SELECT 1 FROM tidemill.lane WHERE " LANE_ROWS     \
    " AND epoch = $4 FOR UPDATE), "                                            \
    "w AS (UPDATE tidemill.lane SET halted = $5, halted_generation = $6, "     \
    "halted_at = to_timestamp($7::int8) WHERE " LANE_ROWS                      \
    " AND epoch = $4 AND EXISTS (SELECT FROM l) RETURNING halted), "           \
    "k(is_kept) AS (SELECT (SELECT count(*) FROM l) = (SELECT count(*) "       \
    "FROM w WHERE halted = $5)) "

static void add_halt(struct pgconn *c, const struct plan *p, const char *halt,
                     const struct position *at, const char *why,
                     const char *generation)
{
    struct params *ps = lane_params(c, p, at->topic, at->partition);
    params_int8(ps, at->epoch);
    params_text(ps, why);
    params_text(ps, generation);
    params_int8(ps, at->halted_since);
    pgconn_add(c, halt, ps);
}

void position_halt(struct pgconn *c, const struct plan *p,
                   const struct position *at, const char *why,
                   const char *generation)
{
    static const char halt[] =
        HALT "SELECT tidemill.must(is_kept, 'TM005') FROM k";

    add_halt(c, p, halt, at, why, generation);
}

void position_note_halt(struct pgconn *c, const struct plan *p,
                        const struct position *at, const char *why,
                        const char *generation)
{
    static const char note[] = HALT "SELECT is_kept FROM k";

    add_halt(c, p, note, at, why, generation);
}

bool position_is_same_lane(const struct position *a, const struct position *b)
{
    return a->partition == b->partition && strcmp(a->topic, b->topic) == 0;
}

bool position_is_noted(const struct pg_result *r)
{
    return pg_int(r, 0, 0) != 0;
}

/* ---- many lanes at once ---- */

PARAMS_CELL(struct position, topic_of, cell_text(at->topic))
PARAMS_CELL(struct position, partition_of, cell_int(at->partition))
PARAMS_CELL(char *const, text_of, cell_text(*at))

static void add_topics(struct params *ps, const struct plan_source *s)
{
    params_each(ps, TYPE_TEXT, text_of, s->topics, s->n_topics);
}

/* Lane by lane (OFFSET 0 keeps it so): a plan that was made while the table was
 * small would hold every lane against every other. */
void position_epochs(struct pgconn *c, const struct plan *p, const char *owner,
                     const struct position *lanes, uint32_t n)
{
    static const char ask[] =
        "SELECT l.epoch, l.owner IS NULL OR l.owner = $4 "
        "FROM unnest($2, $3) WITH ORDINALITY AS u (topic, partition, at) "
        "LEFT JOIN LATERAL (SELECT epoch, owner FROM tidemill.lane "
        "WHERE pipeline = $1 AND stream = 'main' AND topic = u.topic "
        "AND partition = u.partition OFFSET 0) AS l ON true ORDER BY u.at";
    struct params *ps = pgconn_params(c);
    params_text(ps, p->name);
    params_each(ps, TYPE_TEXT, topic_of, lanes, n);
    params_each(ps, TYPE_INTEGER, partition_of, lanes, n);
    params_text(ps, owner);
    pgconn_add(c, ask, ps);
}

bool position_is_changed(const struct pg_result *epochs, uint32_t i,
                         int64_t epoch)
{
    int len;
    if (!pg_value(epochs, (int)i, 0, &len)) {
        return true;
    }
    int64_t now = pg_int(epochs, (int)i, 0);
    return now < epoch || (now > epoch && pg_int(epochs, (int)i, 1));
}

void position_list(struct pgconn *c, const struct plan *p)
{
    static const char list[] =
        "SELECT topic, partition, coalesce(next_offset, -1), "
        "coalesce(epoch, 0), is_rewound, halted, owner FROM tidemill.lane "
        "WHERE pipeline = $1 AND stream = 'main' AND topic = ANY ($2) "
        "ORDER BY topic, partition";
    struct params *ps = pgconn_params(c);
    params_text(ps, p->name);
    add_topics(ps, &p->source);
    pgconn_add(c, list, ps);
}

struct position position_listed(const struct pg_result *list, uint32_t i)
{
    int row = (int)i;
    return (struct position){.topic = pg_str(list, row, 0),
                             .partition = (int32_t)pg_int(list, row, 1),
                             .found = true,
                             .next_offset = pg_int(list, row, 2),
                             .epoch = pg_int(list, row, 3),
                             .is_rewound = pg_int(list, row, 4) != 0,
                             .halted = pg_str(list, row, 5),
                             .owner = pg_str(list, row, 6)};
}

void position_owners(struct pgconn *c, const struct plan *p)
{
    static const char ask[] =
        "SELECT pipeline FROM tidemill.lane "
        "WHERE stream = 'main' AND (pipeline = $1 OR topic = ANY ($2)) "
        "GROUP BY pipeline ORDER BY max(updated_at) DESC";
    struct params *ps = pgconn_params(c);
    params_text(ps, p->name);
    add_topics(ps, &p->source);
    pgconn_add(c, ask, ps);
}

static const char *find_owner(const struct pg_result *owners,
                              const struct plan *p, bool is_ours)
{
    for (int i = 0; i < pg_rows(owners); i++) {
        const char *name = pg_str(owners, i, 0);
        if ((strcmp(name, p->name) == 0) == is_ours) {
            return name;
        }
    }
    return NULL;
}

bool position_has_any(const struct pg_result *owners, const struct plan *p)
{
    return find_owner(owners, p, true) != NULL;
}

const char *position_other(const struct pg_result *owners, const struct plan *p)
{
    return find_owner(owners, p, false);
}

/* Two pipelines in one Kafka group would get each other's partitions. */
void position_find_foreign(struct pgconn *c, const struct plan *p)
{
    static const char find[] =
        "SELECT DISTINCT pipeline, topic FROM tidemill.lane "
        "WHERE group_id = $1 AND pipeline <> $2 AND topic = ANY ($3) "
        "ORDER BY pipeline, topic";
    struct params *ps = pgconn_params(c);
    params_text(ps, p->source.group);
    params_text(ps, p->name);
    add_topics(ps, &p->source);
    pgconn_add(c, find, ps);
}

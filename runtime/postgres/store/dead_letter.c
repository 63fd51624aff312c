/* See dead_letter.h. */
#include "postgres/store/dead_letter.h"

#include "postgres/store/position.h"

#include <string.h>

/* Of the letters of one statement: the server takes a message of 1 GB. */
static const uint64_t PART_BYTES = 64 << 20;

static void add_most(struct params *ps, struct dead_letter_most most)
{
    params_int8(ps, most.n);
    params_int8(ps, (int64_t)most.bytes);
}

/* Of rows in an order, which follows: the bytes of each and of those before it,
 * and its number. The value is not read for it. */
#define UP_TO                                                                  \
    "sum(coalesce(octet_length(key), 0)::bigint + "                            \
    "coalesce(octet_length(value), 0) + "                                      \
    "coalesce(octet_length(headers::text), 0) + "                              \
    "octet_length(message)) OVER in_order AS up_to, "                          \
    "row_number() OVER in_order AS nth "

/* ---- arrays of records and of letters ---- */

PARAMS_CELL(struct record, record_topic, cell_text(at->topic))
PARAMS_CELL(struct record, record_partition, cell_int(at->partition))
PARAMS_CELL(struct record, record_offset, cell_int(at->offset))
PARAMS_CELL(struct record, record_key, cell_bytes(at->key, at->key_len))

#define LETTER(name, cell) PARAMS_CELL(struct dead_letter, name, cell)
LETTER(put_topic, cell_text(at->record->topic))
LETTER(put_partition, cell_int(at->record->partition))
LETTER(put_offset, cell_int(at->record->offset))
LETTER(put_state, cell_text(at->is_held ? "held" : "failed"))
LETTER(put_holds, cell_bool(at->holds))
LETTER(put_key, cell_bytes(at->record->key, at->record->key_len))
LETTER(put_value, cell_bytes(at->record->value, at->record->value_len))
LETTER(put_headers, cell_text(at->headers))
LETTER(put_ms, cell_int(at->record->time_ms))
LETTER(put_class, cell_text(at->class))
LETTER(put_sqlstate, cell_text(at->sqlstate[0] ? at->sqlstate : NULL))
LETTER(put_message, cell_text(at->message))
LETTER(put_script, cell_text(at->script))

/* The columns of dead_letter_put, in its order. */
static const struct {
    enum type_kind type;
    params_cell_fn cell;
} put_columns[] = {
    {TYPE_TEXT, put_topic},    {TYPE_INTEGER, put_partition},
    {TYPE_BIGINT, put_offset}, {TYPE_TEXT, put_state},
    {TYPE_BOOLEAN, put_holds}, {TYPE_BYTEA, put_key},
    {TYPE_BYTEA, put_value},   {TYPE_TEXT, put_headers},
    {TYPE_BIGINT, put_ms},     {TYPE_TEXT, put_class},
    {TYPE_TEXT, put_sqlstate}, {TYPE_TEXT, put_message},
    {TYPE_TEXT, put_script},
};

static void add_places(struct params *ps, const struct record *records,
                       uint32_t n)
{
    params_each(ps, TYPE_TEXT, record_topic, records, n);
    params_each(ps, TYPE_INTEGER, record_partition, records, n);
}

uint64_t dead_letter_bytes(const struct dead_letter *d)
{
    return (uint64_t)d->record->key_len + d->record->value_len +
           (d->headers ? strlen(d->headers) : 0) + strlen(d->message) +
           strlen(d->record->topic);
}

/* How many of them go into one statement: at least one. */
static uint32_t one_part(const struct dead_letter *list, uint32_t n)
{
    uint64_t bytes = dead_letter_bytes(&list[0]);
    uint32_t part = 1;

    while (part < n) {
        bytes += dead_letter_bytes(&list[part]);
        if (bytes > PART_BYTES) {
            break;
        }
        part++;
    }
    return part;
}

static void put_part(struct pgconn *c, const struct plan *p,
                     const struct dead_letter *list, uint32_t n)
{
    static const char put[] =
        "WITH w AS (INSERT INTO tidemill.dead_letter AS d "
        "(pipeline, generation, topic, "
        "partition, \"offset\", state, holds, key, value, headers, record_ms, "
        "class, sqlstate, message, script, is_unpublished) "
        "SELECT $1, $2, t, p, o, s, h, k, v, j::jsonb, ms, c, q, m, f, $16 "
        "FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "AS u(t, p, o, s, h, k, v, j, ms, c, q, m, f) "
        "ON CONFLICT (pipeline, stream, topic, partition, \"offset\") "
        "DO UPDATE SET state = EXCLUDED.state, holds = EXCLUDED.holds, "
        "class = EXCLUDED.class, sqlstate = EXCLUDED.sqlstate, "
        "message = EXCLUDED.message, script = EXCLUDED.script, "
        "generation = EXCLUDED.generation, last_seen = now(), "
        "retry_at = NULL, is_unpublished = EXCLUDED.is_unpublished, "
        "attempts = d.attempts + (EXCLUDED.state = 'failed')::int "
        "RETURNING 1) "
        "SELECT tidemill.must((SELECT count(*) FROM w) = $17, 'TM004')";
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    params_text(ps, p->hash);
    for (size_t i = 0; i < sizeof(put_columns) / sizeof(*put_columns); i++) {
        params_each(ps, put_columns[i].type, put_columns[i].cell, list, n);
    }
    params_bool(ps, p->dead_letters.topic != NULL);
    params_int8(ps, n);
    pgconn_add(c, put, ps);
}

void dead_letter_put(struct pgconn *c, const struct plan *p,
                     const struct dead_letter *list, uint32_t n)
{
    while (n > 0) {
        uint32_t part = one_part(list, n);

        put_part(c, p, list, part);
        list += part;
        n -= part;
    }
}

void dead_letter_end(struct pgconn *c, const struct plan *p,
                     const struct record *records, uint32_t n)
{
    static const char end[] =
        "WITH d AS (DELETE FROM tidemill.dead_letter WHERE " LANE_ROWS
        " AND \"offset\" = ANY ($4) RETURNING 1) "
        "SELECT tidemill.must((SELECT count(*) FROM d) = $5, 'TM002')";
    struct params *ps =
        lane_params(c, p, records[0].topic, records[0].partition);

    params_each(ps, TYPE_BIGINT, record_offset, records, n);
    params_int8(ps, n);
    pgconn_add(c, end, ps);
}

void dead_letter_rest(struct pgconn *c, const struct plan *p,
                      const struct record *records, uint32_t n)
{
    static const char rest[] =
        "WITH l AS MATERIALIZED (SELECT \"offset\" FROM tidemill.dead_letter "
        "WHERE " LANE_ROWS
        " AND holds AND key = ANY ($4) AND retry_at IS NOT NULL FOR UPDATE), "
        "w AS (UPDATE tidemill.dead_letter SET retry_at = NULL WHERE " LANE_ROWS
        " AND \"offset\" = ANY (ARRAY(SELECT \"offset\" FROM l)) "
        "RETURNING retry_at) "
        "SELECT tidemill.must((SELECT count(*) FROM l) = (SELECT count(*) "
        "FROM w WHERE retry_at IS NULL), 'TM004')";
    struct params *ps =
        lane_params(c, p, records[0].topic, records[0].partition);

    params_each(ps, TYPE_BYTEA, record_key, records, n);
    pgconn_add(c, rest, ps);
}

void dead_letter_ask_keys(struct pgconn *c, const struct plan *p,
                          const struct record *lanes, uint32_t n)
{
    static const char ask[] =
        "SELECT d.topic, d.partition, CASE WHEN holds THEN key END AS key, "
        "count(*), min(\"offset\") FROM tidemill.dead_letter d "
        "JOIN unnest($2, $3) AS l(topic, partition) "
        "ON d.topic = l.topic AND d.partition = l.partition "
        "WHERE pipeline = $1 AND stream = 'main' GROUP BY 1, 2, 3";
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    add_places(ps, lanes, n);
    pgconn_add(c, ask, ps);
}

void dead_letter_ask_wanted(struct pgconn *c, const struct plan *p)
{
    static const char ask[] =
        "SELECT DISTINCT topic, partition FROM tidemill.dead_letter "
        "WHERE pipeline = $1 AND stream = 'main' AND retry_at IS NOT NULL";
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    pgconn_add(c, ask, ps);
}

void dead_letter_ask(struct pgconn *c, const struct plan *p, const char *topic,
                     int32_t partition, struct dead_letter_most most)
{
    static const char ask[] =
        "WITH lane AS (SELECT * FROM tidemill.dead_letter WHERE " LANE_ROWS
        "), "
        "wanted AS (SELECT * FROM lane WHERE retry_at IS NOT NULL "
        "OR holds AND key IN (SELECT key FROM lane "
        "WHERE retry_at IS NOT NULL AND holds)), "
        "free AS MATERIALIZED (SELECT \"offset\" FROM tidemill.dead_letter "
        "WHERE " LANE_ROWS " AND \"offset\" = ANY (ARRAY(SELECT \"offset\" "
        "FROM wanted WHERE retry_at IS NULL)) FOR UPDATE), "
        "joined AS (UPDATE tidemill.dead_letter SET retry_at = now() "
        "WHERE " LANE_ROWS " AND \"offset\" = "
        "ANY (ARRAY(SELECT \"offset\" FROM free)) RETURNING retry_at), "
        "kept AS MATERIALIZED (SELECT tidemill.must((SELECT count(*) "
        "FROM free) = (SELECT count(retry_at) FROM joined), 'TM004')) "
        "SELECT \"offset\", key, value, headers::text, "
        "coalesce(record_ms, -1) "
        "FROM kept, (SELECT *, " UP_TO "FROM (SELECT * "
        "FROM wanted ORDER BY \"offset\" LIMIT $4) AS first "
        "WINDOW in_order AS (ORDER BY \"offset\")) AS w "
        "WHERE up_to <= $5 OR nth = 1 ORDER BY 1";
    struct params *ps = lane_params(c, p, topic, partition);

    add_most(ps, most);
    pgconn_add(c, ask, ps);
}

void dead_letter_ask_unpublished(struct pgconn *c, const struct plan *p,
                                 const char *owner,
                                 struct dead_letter_most most)
{
    static const char ask[] =
        "SELECT topic, partition, \"offset\", key, value, headers::text, "
        "state, class, coalesce(sqlstate, ''), message, coalesce(script, ''), "
        "generation "
        "FROM (SELECT *, " UP_TO
        "FROM (SELECT d.* FROM tidemill.dead_letter d JOIN tidemill.lane l "
        "USING (pipeline, stream, topic, partition) WHERE pipeline = $1 "
        "AND stream = 'main' AND is_unpublished AND owner = $2 "
        "ORDER BY d.topic, d.partition, d.\"offset\" LIMIT $3) AS first "
        "WINDOW in_order AS (ORDER BY topic, partition, \"offset\")) AS w "
        "WHERE up_to <= $4 OR nth = 1 ORDER BY 1, 2, 3";
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    params_text(ps, owner);
    add_most(ps, most);
    pgconn_add(c, ask, ps);
}

void dead_letter_published(struct pgconn *c, const struct plan *p,
                           const struct record *records, uint32_t n)
{
    static const char note[] =
        "WITH l AS MATERIALIZED (SELECT topic, partition, \"offset\" "
        "FROM tidemill.dead_letter JOIN unnest($2, $3, $4) AS u(t, p, o) "
        "ON topic = t AND partition = p AND \"offset\" = o "
        "WHERE pipeline = $1 AND stream = 'main' "
        "FOR UPDATE OF dead_letter), "
        "w AS (UPDATE tidemill.dead_letter d SET is_unpublished = false FROM l "
        "WHERE pipeline = $1 AND stream = 'main' AND d.topic = l.topic "
        "AND d.partition = l.partition AND d.\"offset\" = l.\"offset\" "
        "RETURNING is_unpublished) "
        "SELECT tidemill.must((SELECT count(*) FROM l) = (SELECT count(*) "
        "FROM w WHERE NOT is_unpublished), 'TM004')";
    struct params *ps = pgconn_params(c);

    params_text(ps, p->name);
    add_places(ps, records, n);
    params_each(ps, TYPE_BIGINT, record_offset, records, n);
    pgconn_add(c, note, ps);
}

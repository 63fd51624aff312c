/* See dead_letter.h. */
#include "postgres/store/dead_letter.h"

#include <string.h>

#include "postgres/wire/encode.h"

enum {
    OID_BOOL = 16,
    OID_INT4 = 23,
    OID_INT8 = 20,
    OID_TEXT = 25,
    OID_BOOL_ARRAY = 1000,
    OID_BYTEA_ARRAY = 1001,
    OID_INT4_ARRAY = 1007,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    PUT_ARRAYS = 13
};

/* Of the letters of one statement: the server takes a message of 1 GB. */
static const uint64_t PART_BYTES = 64 << 20;

/* Parameters of one statement, in order. */
struct params {
    struct pgparam list[PUT_ARRAYS + 4];
    struct buf bytes[PUT_ARRAYS + 4]; /* owned */
    int n;
    struct tm_cell *cells; /* scratch: one column */
    uint32_t n_cells;
};

static struct params params_new(struct arena *scratch, uint32_t n_cells)
{
    return (struct params){
        .cells = scratch ? arena_zero(scratch,
                                      (n_cells + 1) * sizeof(struct tm_cell))
                         : NULL,
        .n_cells = n_cells};
}

static void params_send(struct params *p, struct pgconn *c,
                        const struct pgstmt *s)
{
    must(p->n == s->n_params);
    pgconn_add(c, s, p->list);
    for (int i = 0; i < p->n; i++) {
        buf_close(&p->bytes[i]);
    }
}

static void add(struct params *p)
{
    const struct buf *b = &p->bytes[p->n];

    p->list[p->n++] = (struct pgparam){b->data, (int)b->len};
}

static void add_text(struct params *p, const char *text)
{
    buf_puts(&p->bytes[p->n], text);
    add(p);
}

static void add_int4(struct params *p, int32_t v)
{
    buf_reserve(&p->bytes[p->n], 4);
    buf_u32(&p->bytes[p->n], (uint32_t)v);
    add(p);
}

static void add_int8(struct params *p, int64_t v)
{
    buf_reserve(&p->bytes[p->n], 8);
    buf_u64(&p->bytes[p->n], (uint64_t)v);
    add(p);
}

static void add_most(struct params *p, struct dead_letter_most most)
{
    add_int8(p, most.n);
    add_int8(p, (int64_t)most.bytes);
}

static void add_bool(struct params *p, bool v)
{
    buf_put(&p->bytes[p->n], v ? "\1" : "\0", 1);
    add(p);
}

/* What IN_LANE asks for. */
#define IN_LANE                                                                \
    "pipeline = $1 AND stream = 'main' AND topic = $2 AND partition = $3 "

static void add_lane(struct params *p, const struct plan *plan,
                     const char *topic, int32_t partition)
{
    add_text(p, plan->name);
    add_text(p, topic);
    add_int4(p, partition);
}

/* Of rows in an order, which follows: the bytes of each and of those before it,
 * and its number. The value is not read for it. */
#define UP_TO                                                                  \
    "sum(coalesce(octet_length(key), 0)::bigint + "                            \
    "coalesce(octet_length(value), 0) + "                                      \
    "coalesce(octet_length(headers::text), 0) + "                              \
    "octet_length(message)) OVER in_order AS up_to, "                          \
    "row_number() OVER in_order AS nth "

/* The cells as an array of that type. */
static void add_array(struct params *p, enum type_kind kind)
{
    const struct coltype t = {.kind = (uint8_t)kind};

    encode_array(&p->bytes[p->n], &t, p->cells, NULL, p->n_cells);
    add(p);
}

static struct tm_cell bytes_cell(const char *s, uint32_t len, uint8_t tag)
{
    return (struct tm_cell){.p = s, .len = len, .tag = s ? tag : TM_NULL};
}

static struct tm_cell text_cell(const char *s)
{
    return bytes_cell(s, s ? (uint32_t)strlen(s) : 0, TM_TEXT);
}

static struct tm_cell int_cell(int64_t i)
{
    return (struct tm_cell){.i = i, .tag = TM_INT};
}

static struct tm_cell bool_cell(bool b)
{
    return (struct tm_cell){.i = b, .tag = TM_BOOL};
}

/* Where [n_cells] records stand: one array for each part of it. */
static void add_topics(struct params *p, const struct record *records)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        p->cells[i] = text_cell(records[i].topic);
    }
    add_array(p, TYPE_TEXT);
}

static void add_partitions(struct params *p, const struct record *records)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        p->cells[i] = int_cell(records[i].partition);
    }
    add_array(p, TYPE_INTEGER);
}

static void add_offsets(struct params *p, const struct record *records)
{
    for (uint32_t i = 0; i < p->n_cells; i++) {
        p->cells[i] = int_cell(records[i].offset);
    }
    add_array(p, TYPE_BIGINT);
}

static struct tm_cell topic_of(const struct dead_letter *d)
{
    return text_cell(d->record->topic);
}
static struct tm_cell partition_of(const struct dead_letter *d)
{
    return int_cell(d->record->partition);
}
static struct tm_cell offset_of(const struct dead_letter *d)
{
    return int_cell(d->record->offset);
}
static struct tm_cell state_of(const struct dead_letter *d)
{
    return text_cell(d->is_held ? "held" : "failed");
}
static struct tm_cell holds_of(const struct dead_letter *d)
{
    return bool_cell(d->holds);
}
static struct tm_cell key_of(const struct dead_letter *d)
{
    return bytes_cell(d->record->key, d->record->key_len, TM_BYTES);
}
static struct tm_cell value_of(const struct dead_letter *d)
{
    return bytes_cell(d->record->value, d->record->value_len, TM_BYTES);
}
static struct tm_cell headers_of(const struct dead_letter *d)
{
    return text_cell(d->headers);
}
static struct tm_cell ms_of(const struct dead_letter *d)
{
    return int_cell(d->record->time_ms);
}
static struct tm_cell class_of(const struct dead_letter *d)
{
    return text_cell(d->class);
}
static struct tm_cell sqlstate_of(const struct dead_letter *d)
{
    return text_cell(d->sqlstate[0] ? d->sqlstate : NULL);
}
static struct tm_cell message_of(const struct dead_letter *d)
{
    return text_cell(d->message);
}
static struct tm_cell script_of(const struct dead_letter *d)
{
    return text_cell(d->script);
}

/* The columns of the statement below, in its order. */
static const struct {
    enum type_kind type;
    struct tm_cell (*cell)(const struct dead_letter *d);
} put_columns[PUT_ARRAYS] = {
    {TYPE_TEXT, topic_of},    {TYPE_INTEGER, partition_of},
    {TYPE_BIGINT, offset_of}, {TYPE_TEXT, state_of},
    {TYPE_BOOLEAN, holds_of}, {TYPE_BYTEA, key_of},
    {TYPE_BYTEA, value_of},   {TYPE_TEXT, headers_of},
    {TYPE_BIGINT, ms_of},     {TYPE_TEXT, class_of},
    {TYPE_TEXT, sqlstate_of}, {TYPE_TEXT, message_of},
    {TYPE_TEXT, script_of},
};

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
                     const struct dead_letter *list, uint32_t n,
                     struct arena *scratch)
{
    static const uint32_t oids[] = {
        OID_TEXT,        OID_TEXT,       OID_TEXT_ARRAY, OID_INT4_ARRAY,
        OID_INT8_ARRAY,  OID_TEXT_ARRAY, OID_BOOL_ARRAY, OID_BYTEA_ARRAY,
        OID_BYTEA_ARRAY, OID_TEXT_ARRAY, OID_INT8_ARRAY, OID_TEXT_ARRAY,
        OID_TEXT_ARRAY,  OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_BOOL,
        OID_INT8};
    static const struct pgstmt put = {
        "dead_letter_put",
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
        "SELECT tidemill.must((SELECT count(*) FROM w) = $17, 'TM004')",
        oids, PUT_ARRAYS + 4};
    struct params params = params_new(scratch, n);

    add_text(&params, p->name);
    add_text(&params, p->hash);
    for (int i = 0; i < PUT_ARRAYS; i++) {
        for (uint32_t k = 0; k < n; k++) {
            params.cells[k] = put_columns[i].cell(&list[k]);
        }
        add_array(&params, put_columns[i].type);
    }
    add_bool(&params, p->dead_letters.topic != NULL);
    add_int8(&params, n);
    params_send(&params, c, &put);
}

void dead_letter_put(struct pgconn *c, const struct plan *p,
                     const struct dead_letter *list, uint32_t n,
                     struct arena *scratch)
{
    while (n > 0) {
        uint32_t part = one_part(list, n);

        put_part(c, p, list, part, scratch);
        list += part;
        n -= part;
    }
}

void dead_letter_end(struct pgconn *c, const struct plan *p,
                     const struct record *records, uint32_t n,
                     struct arena *scratch)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4,
                                    OID_INT8_ARRAY, OID_INT8};
    static const struct pgstmt end = {
        "dead_letter_end",
        "WITH d AS (DELETE FROM tidemill.dead_letter WHERE " IN_LANE
        "AND \"offset\" = ANY ($4) RETURNING 1) "
        "SELECT tidemill.must((SELECT count(*) FROM d) = $5, 'TM002')",
        oids, 5};
    struct params params = params_new(scratch, n);

    add_lane(&params, p, records[0].topic, records[0].partition);
    add_offsets(&params, records);
    add_int8(&params, n);
    params_send(&params, c, &end);
}

void dead_letter_rest(struct pgconn *c, const struct plan *p,
                      const struct record *records, uint32_t n,
                      struct arena *scratch)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4,
                                    OID_BYTEA_ARRAY};
    static const struct pgstmt rest = {
        "dead_letter_rest",
        "WITH l AS MATERIALIZED (SELECT \"offset\" FROM tidemill.dead_letter "
        "WHERE " IN_LANE
        "AND holds AND key = ANY ($4) AND retry_at IS NOT NULL FOR UPDATE), "
        "w AS (UPDATE tidemill.dead_letter SET retry_at = NULL WHERE " IN_LANE
        "AND \"offset\" = ANY (ARRAY(SELECT \"offset\" FROM l)) "
        "RETURNING retry_at) "
        "SELECT tidemill.must((SELECT count(*) FROM l) = (SELECT count(*) "
        "FROM w WHERE retry_at IS NULL), 'TM004')",
        oids, 4};
    struct params params = params_new(scratch, n);

    add_lane(&params, p, records[0].topic, records[0].partition);
    for (uint32_t i = 0; i < n; i++) {
        params.cells[i] =
            bytes_cell(records[i].key, records[i].key_len, TM_BYTES);
    }
    add_array(&params, TYPE_BYTEA);
    params_send(&params, c, &rest);
}

void dead_letter_ask_keys(struct pgconn *c, const struct plan *p,
                          const struct record *lanes, uint32_t n,
                          struct arena *scratch)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT_ARRAY, OID_INT4_ARRAY};
    static const struct pgstmt ask = {
        "dead_letter_ask_keys",
        "SELECT d.topic, d.partition, CASE WHEN holds THEN key END AS key, "
        "count(*), min(\"offset\") FROM tidemill.dead_letter d "
        "JOIN unnest($2, $3) AS l(topic, partition) "
        "ON d.topic = l.topic AND d.partition = l.partition "
        "WHERE pipeline = $1 AND stream = 'main' GROUP BY 1, 2, 3",
        oids, 3};
    struct params params = params_new(scratch, n);

    add_text(&params, p->name);
    add_topics(&params, lanes);
    add_partitions(&params, lanes);
    params_send(&params, c, &ask);
}

void dead_letter_ask_wanted(struct pgconn *c, const struct plan *p)
{
    static const uint32_t oids[] = {OID_TEXT};
    static const struct pgstmt ask = {
        "dead_letter_ask_wanted",
        "SELECT DISTINCT topic, partition FROM tidemill.dead_letter "
        "WHERE pipeline = $1 AND stream = 'main' AND retry_at IS NOT NULL",
        oids, 1};
    struct params params = params_new(NULL, 0);

    add_text(&params, p->name);
    params_send(&params, c, &ask);
}

void dead_letter_ask(struct pgconn *c, const struct plan *p, const char *topic,
                     int32_t partition, struct dead_letter_most most)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT4, OID_INT8,
                                    OID_INT8};
    static const struct pgstmt ask = {
        "dead_letter_ask",
        "WITH lane AS (SELECT * FROM tidemill.dead_letter WHERE " IN_LANE "), "
        "wanted AS (SELECT * FROM lane WHERE retry_at IS NOT NULL "
        "OR holds AND key IN (SELECT key FROM lane "
        "WHERE retry_at IS NOT NULL AND holds)), "
        "free AS MATERIALIZED (SELECT \"offset\" FROM tidemill.dead_letter "
        "WHERE " IN_LANE "AND \"offset\" = ANY (ARRAY(SELECT \"offset\" "
        "FROM wanted WHERE retry_at IS NULL)) FOR UPDATE), "
        "joined AS (UPDATE tidemill.dead_letter SET retry_at = now() "
        "WHERE " IN_LANE "AND \"offset\" = "
        "ANY (ARRAY(SELECT \"offset\" FROM free)) RETURNING retry_at), "
        "kept AS MATERIALIZED (SELECT tidemill.must((SELECT count(*) "
        "FROM free) = (SELECT count(retry_at) FROM joined), 'TM004')) "
        "SELECT \"offset\", key, value, headers::text, "
        "coalesce(record_ms, -1) "
        "FROM kept, (SELECT *, " UP_TO "FROM (SELECT * "
        "FROM wanted ORDER BY \"offset\" LIMIT $4) AS first "
        "WINDOW in_order AS (ORDER BY \"offset\")) AS w "
        "WHERE up_to <= $5 OR nth = 1 ORDER BY 1",
        oids, 5};
    struct params params = params_new(NULL, 0);

    add_lane(&params, p, topic, partition);
    add_most(&params, most);
    params_send(&params, c, &ask);
}

void dead_letter_ask_unpublished(struct pgconn *c, const struct plan *p,
                                 const char *owner,
                                 struct dead_letter_most most)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT, OID_INT8, OID_INT8};
    static const struct pgstmt ask = {
        "dead_letter_ask_unpublished",
        "SELECT topic, partition, \"offset\", key, value, headers::text, "
        "state, class, coalesce(sqlstate, ''), message, coalesce(script, ''), "
        "generation "
        "FROM (SELECT *, " UP_TO
        "FROM (SELECT d.* FROM tidemill.dead_letter d JOIN tidemill.lane l "
        "USING (pipeline, stream, topic, partition) WHERE pipeline = $1 "
        "AND stream = 'main' AND is_unpublished AND owner = $2 "
        "ORDER BY d.topic, d.partition, d.\"offset\" LIMIT $3) AS first "
        "WINDOW in_order AS (ORDER BY topic, partition, \"offset\")) AS w "
        "WHERE up_to <= $4 OR nth = 1 ORDER BY 1, 2, 3",
        oids, 4};
    struct params params = params_new(NULL, 0);

    add_text(&params, p->name);
    add_text(&params, owner);
    add_most(&params, most);
    params_send(&params, c, &ask);
}

void dead_letter_published(struct pgconn *c, const struct plan *p,
                           const struct record *records, uint32_t n,
                           struct arena *scratch)
{
    static const uint32_t oids[] = {OID_TEXT, OID_TEXT_ARRAY, OID_INT4_ARRAY,
                                    OID_INT8_ARRAY};
    static const struct pgstmt note = {
        "dead_letter_published",
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
        "FROM w WHERE NOT is_unpublished), 'TM004')",
        oids, 4};
    struct params params = params_new(scratch, n);

    add_text(&params, p->name);
    add_topics(&params, records);
    add_partitions(&params, records);
    add_offsets(&params, records);
    params_send(&params, c, &note);
}

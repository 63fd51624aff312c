/* Reading dead letters: see letters.h. */
#include "postgres/operator/letters.h"

#include "postgres/operator/letters_part.h"
#include "postgres/wire/result.h"

#define ISO "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
#define FIELDS                                                                 \
    "SELECT topic, partition, \"offset\", state, key, class, sqlstate, "       \
    "message, cause, script, generation, attempts, "                           \
    "to_char(first_seen AT TIME ZONE 'UTC', " ISO ", "                         \
    "to_char(last_seen AT TIME ZONE 'UTC', " ISO ", "                          \
    "to_char(retry_at AT TIME ZONE 'UTC', " ISO ", coalesce(record_ms, -1), "

/* A held letter says only that it waits; the first failed one of its key says
 * for what. */
#define LETTERS_AND_CAUSES                                                     \
    "FROM tidemill.dead_letter LEFT JOIN (SELECT DISTINCT ON (topic, "         \
    "partition, key) topic AS at_topic, partition AS at_partition, key AS "    \
    "of_key, \"offset\" AS at_offset, message AS cause "                       \
    "FROM tidemill.dead_letter WHERE pipeline = $1 AND stream = 'main' "       \
    "AND state = 'failed' ORDER BY topic, partition, key, \"offset\") first "  \
    "ON state = 'held' AND at_topic = topic AND at_partition = partition "     \
    "AND of_key = key AND at_offset < \"offset\" WHERE "

enum list_field {
    LIST_TOPIC,
    LIST_PARTITION,
    LIST_OFFSET,
    LIST_STATE,
    LIST_KEY,
    LIST_CLASS,
    LIST_SQLSTATE,
    LIST_MESSAGE,
    LIST_CAUSE,
    LIST_SCRIPT,
    LIST_GENERATION,
    LIST_ATTEMPTS,
    LIST_FIRST_SEEN,
    LIST_LAST_SEEN,
    LIST_RETRY_AT,
    LIST_RECORD_MS,
    LIST_VALUE,
    LIST_HEADERS
};

struct params *letter_params(struct operator_connection *c,
                             const struct letter_filter *f)
{
    struct params *ps = operator_connection_params(c);

    params_text(ps, c->plan->name);
    params_text(ps, f->topic);
    params_natural(ps, f->partition);
    params_natural(ps, f->offset);
    params_text(ps, f->key);
    params_text(ps, f->class);
    params_text(ps, f->sqlstate);
    params_text(ps, f->state);
    params_natural(ps, f->since_usec);
    params_natural(ps, f->limit);
    return ps;
}

struct letter_reading {
    letter_fn fn;
    letter_count_fn count_fn;
    void *arg;
};

static struct letter_bytes bytes(const struct pg_result *r, int column)
{
    struct letter_bytes b;
    b.p = pg_value(r, 0, column, &b.len);
    return b;
}

static const char *text(const struct pg_result *r, int column)
{
    return bytes(r, column).p;
}

static void on_letter(const struct pg_result *r, void *arg)
{
    const struct letter_reading *reading = arg;
    const struct letter_row l = {.topic = text(r, LIST_TOPIC),
                                 .partition = pg_int(r, 0, LIST_PARTITION),
                                 .offset = pg_int(r, 0, LIST_OFFSET),
                                 .state = text(r, LIST_STATE),
                                 .key = bytes(r, LIST_KEY),
                                 .value = bytes(r, LIST_VALUE),
                                 .headers = text(r, LIST_HEADERS),
                                 .record_ms = pg_int(r, 0, LIST_RECORD_MS),
                                 .class = text(r, LIST_CLASS),
                                 .sqlstate = text(r, LIST_SQLSTATE),
                                 .message = text(r, LIST_MESSAGE),
                                 .cause = text(r, LIST_CAUSE),
                                 .script = text(r, LIST_SCRIPT),
                                 .generation = text(r, LIST_GENERATION),
                                 .attempts = pg_int(r, 0, LIST_ATTEMPTS),
                                 .first_seen = text(r, LIST_FIRST_SEEN),
                                 .last_seen = text(r, LIST_LAST_SEEN),
                                 .retry_at = text(r, LIST_RETRY_AT)};
    reading->fn(&l, reading->arg);
}

static bool each(struct operator_connection *c, const struct letter_filter *f,
                 const char *sql, struct letter_reading *reading, struct err *e)
{
    return operator_connection_each(c, sql, letter_params(c, f), on_letter,
                                    reading, e);
}

bool letters_each(struct operator_connection *c, const struct letter_filter *f,
                  bool values, letter_fn fn, void *arg, struct err *e)
{
    static const char brief[] =
        FIELDS "NULL::bytea, NULL::text " LETTERS_AND_CAUSES LETTER_MATCHES
            LETTER_LIMIT;
    static const char full[] = FIELDS
        "value, headers::text " LETTERS_AND_CAUSES LETTER_MATCHES LETTER_LIMIT;
    struct letter_reading reading = {.fn = fn, .arg = arg};
    return each(c, f, values ? full : brief, &reading, e);
}

bool letters_beside(struct operator_connection *c,
                    const struct letter_filter *f, letter_fn fn, void *arg,
                    struct err *e)
{
    static const char sql[] =
        FIELDS "NULL::bytea, NULL::text " LETTERS_AND_CAUSES
               "pipeline = $1 AND stream = 'main' AND (topic, partition, "
               "key) IN (SELECT topic, partition, key "
               "FROM tidemill.dead_letter WHERE " LETTER_MATCHES
               ") AND \"offset\" <> $4::bigint" LETTER_LIMIT;
    struct letter_reading reading = {.fn = fn, .arg = arg};
    return each(c, f, sql, &reading, e);
}

static void on_count(const struct pg_result *r, void *arg)
{
    const struct letter_reading *reading = arg;
    const struct letter_count n = {text(r, 0), pg_int(r, 0, 1),
                                   pg_int(r, 0, 2)};
    reading->count_fn(&n, reading->arg);
}

bool letters_count(struct operator_connection *c, const struct letter_filter *f,
                   letter_count_fn fn, void *arg, struct err *e)
{
    static const char sql[] =
        "SELECT class, count(*) FILTER (WHERE state = 'failed'), "
        "count(*) FILTER (WHERE state = 'held') FROM tidemill.dead_letter "
        "WHERE " LETTER_MATCHES " GROUP BY class ORDER BY count(*) DESC, class";
    struct letter_reading reading = {.count_fn = fn, .arg = arg};
    return operator_connection_each(c, sql, letter_params(c, f), on_count,
                                    &reading, e);
}

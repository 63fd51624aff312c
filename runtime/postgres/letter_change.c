/* Changing dead letters: see letters.h. */
#include <stdio.h>
#include <string.h>

#include "postgres/conn.h"
#include "postgres/letter_params.h"

/*
 * [chain]: all letters of the keys that the filter picks, each with whether it
 * is among those that the change takes ($11, the scope). A letter without a
 * key is a chain by itself: NULL is IN nothing.
 */
#define CHAIN                                                                  \
    "WITH picked AS (SELECT topic, partition, \"offset\", key "                \
    "FROM tidemill.dead_letter WHERE " LETTER_MATCHES LETTER_LIMIT "), "       \
    "chain AS MATERIALIZED (SELECT d.*, CASE $11::text "                       \
    "WHEN 'chains' THEN true "                                                 \
    "WHEN 'heads' THEN is_picked AND state = 'failed' "                        \
    "ELSE is_picked END AS is_taken "                                          \
    "FROM (SELECT topic, partition, \"offset\", key, state, attempts, "        \
    "retry_at, (topic, partition, \"offset\") IN (SELECT topic, partition, "   \
    "\"offset\" FROM picked) AS is_picked FROM tidemill.dead_letter "          \
    "WHERE pipeline = $1 AND stream = 'main') AS d "                           \
    "WHERE is_picked OR (topic, partition, key) IN "                           \
    "(SELECT topic, partition, key FROM picked)) "
#define SAME                                                                   \
    "d.pipeline = $1 AND d.stream = 'main' AND d.topic = c.topic "             \
    "AND d.partition = c.partition AND d.\"offset\" = c.\"offset\" "

#define SAME_KEY                                                               \
    "h.topic = r.topic AND h.partition = r.partition AND h.key = r.key"

/* An orphan: held behind what is taken, and behind nothing that stays. A retry
 * that was asked for frees it, but nobody has said yet that it shall run
 * without what is taken. */
static const char LOOK[] = CHAIN
    "SELECT count(*) FILTER (WHERE is_taken AND state = 'failed'), "
    "count(*) FILTER (WHERE is_taken AND state = 'held'), "
    "count(DISTINCT (topic, partition)), "
    "count(*) FILTER (WHERE NOT is_taken), "
    "(SELECT count(*) FROM chain r WHERE NOT r.is_taken AND r.state = 'held' "
    "AND NOT EXISTS (SELECT 1 FROM chain h WHERE NOT h.is_taken "
    "AND h.state = 'failed' AND h.\"offset\" < r.\"offset\" AND " SAME_KEY ") "
    "AND (r.retry_at IS NULL OR EXISTS (SELECT 1 FROM chain h "
    "WHERE h.is_taken AND h.state = 'failed' AND " SAME_KEY "))), "
    "coalesce((SELECT string_agg(l.topic || '/' || l.partition, ', ' "
    "ORDER BY l.topic COLLATE \"C\", l.partition) FROM tidemill.lane l "
    "WHERE l.pipeline = $1 AND l.stream = 'main' AND l.halted IS NOT NULL "
    "AND (l.topic, l.partition) IN (SELECT topic, partition FROM chain)), ''), "
    "coalesce(md5(string_agg(concat_ws(' ', topic, partition, \"offset\", "
    "state, attempts), ',' ORDER BY " LETTER_ORDER ")), '') FROM chain";

enum look_field {
    LOOK_FAILED,
    LOOK_HELD,
    LOOK_LANES,
    LOOK_REST,
    LOOK_ORPHANS,
    LOOK_HALTED,
    LOOK_PRINT
};

static const char *const scopes[] = {[LETTERS_PICKED] = "picked",
                                     [LETTERS_CHAINS] = "chains",
                                     [LETTERS_HEADS] = "heads"};

/* The owner's batch locks its lanes first, then writes letters. So do we, and
 * in one order: what is looked at afterwards can no more grow. */
static const char LOCK[] =
    CHAIN "SELECT 1 FROM tidemill.lane WHERE pipeline = $1 AND stream = 'main' "
          "AND (topic, partition) IN (SELECT topic, partition FROM chain) "
          "ORDER BY topic COLLATE \"C\", partition FOR UPDATE";

static const char DISCARD[] = CHAIN
    ", gone AS (DELETE FROM tidemill.dead_letter d USING chain c WHERE " SAME
    "AND c.is_taken RETURNING d.topic, d.partition, d.\"offset\", d.state), "
    "asked AS (UPDATE tidemill.dead_letter d SET retry_at = now() "
    "FROM chain c WHERE " SAME "AND NOT c.is_taken AND $11::text = 'heads'), "
    "raised AS (UPDATE tidemill.lane SET epoch = epoch + 1, updated_at = now() "
    "WHERE pipeline = $1 AND stream = 'main' "
    "AND (topic, partition) IN (SELECT topic, partition FROM gone)) "
    "INSERT INTO tidemill.audit (who, action, pipeline, topic, partition, "
    "detail) SELECT $12::text, 'dlq discard', $1::text, topic, partition, "
    "jsonb_strip_nulls(jsonb_build_object("
    "'offsets', jsonb_agg(\"offset\" ORDER BY \"offset\"), "
    "'failed', count(*) FILTER (WHERE state = 'failed'), "
    "'held', count(*) FILTER (WHERE state = 'held'), "
    "'reason', $13::text)) FROM gone GROUP BY topic, partition "
    "ORDER BY topic COLLATE \"C\", partition";

static const char RETRY[] = CHAIN
    ", asked AS (UPDATE tidemill.dead_letter d SET retry_at = now() "
    "FROM chain c WHERE " SAME
    "AND c.is_taken RETURNING d.topic, d.partition, d.\"offset\", d.state), "
    "noted AS (INSERT INTO tidemill.audit (who, action, pipeline, topic, "
    "partition, detail) SELECT $12::text, 'dlq retry', $1::text, topic, "
    "partition, jsonb_strip_nulls(jsonb_build_object("
    "'offsets', jsonb_agg(\"offset\" ORDER BY \"offset\"), "
    "'reason', $13::text)) FROM asked GROUP BY topic, partition) "
    "SELECT count(*) FILTER (WHERE state = 'failed'), "
    "count(*) FILTER (WHERE state = 'held'), now()::text FROM asked";

/* The audit row says which letters they were. */
static const char RETRIED[] =
    "SELECT count(*) FILTER (WHERE d.retry_at IS NOT NULL), "
    "count(*) FILTER (WHERE d.retry_at IS NULL) FROM tidemill.audit a "
    "JOIN tidemill.dead_letter d ON d.pipeline = a.pipeline "
    "AND d.stream = 'main' AND d.topic = a.topic "
    "AND d.partition = a.partition "
    "AND a.detail->'offsets' @> to_jsonb(d.\"offset\") "
    "WHERE a.pipeline = $1 AND a.action = 'dlq retry' AND a.who = $2 "
    "AND a.at = $3::timestamptz";

static void read_look(const struct pg_result *r, struct letter_look *out)
{
    *out = (struct letter_look){.n_failed = pg_int(r, 0, LOOK_FAILED),
                                .n_held = pg_int(r, 0, LOOK_HELD),
                                .n_lanes = pg_int(r, 0, LOOK_LANES),
                                .n_rest = pg_int(r, 0, LOOK_REST),
                                .n_orphans = pg_int(r, 0, LOOK_ORPHANS)};
    snprintf(out->halted, sizeof out->halted, "%s", pg_str(r, 0, LOOK_HALTED));
    snprintf(out->print, sizeof out->print, "%s", pg_str(r, 0, LOOK_PRINT));
}

bool letters_look(struct console *c, const struct letter_filter *f,
                  enum letter_scope scope, struct letter_look *out,
                  struct err *e)
{
    struct letter_params params;
    letter_params(&params, c, f);
    params.at[10] = scopes[scope];
    const struct console_query look = {LOOK, params.at, 11};
    struct pg_result *r = console_ask(c, &look, e);
    if (!r) {
        return false;
    }
    read_look(r, out);
    console_free(r);
    return true;
}

static bool run(struct console *c, const char *sql, const char *const *params,
                int n_params, struct err *e)
{
    const struct console_query q = {sql, params, n_params};
    struct pg_result *r = console_ask(c, &q, e);
    console_free(r);
    return r != NULL;
}

static bool is_as_shown(struct console *c, const struct letter_filter *f,
                        enum letter_scope scope,
                        const struct letter_look *shown, struct err *e)
{
    struct letter_look now;
    if (!letters_look(c, f, scope, &now, e)) {
        return false;
    }
    return strcmp(now.print, shown->print) == 0 ||
           err_set(e, ERR_CONFLICT,
                   "these letters changed meanwhile, so nothing was done: "
                   "look again with `tidemill dlq list`");
}

bool letters_discard(struct console *c, const struct letter_filter *f,
                     enum letter_scope scope, const struct letter_look *shown,
                     const char *reason, struct err *e)
{
    struct letter_params params;
    letter_params(&params, c, f);
    params.at[10] = scopes[scope];
    params.at[11] = c->who;
    params.at[12] = reason;
    if (!console_begin(c, e)) {
        return false;
    }
    if (run(c, LOCK, params.at, 11, e) && is_as_shown(c, f, scope, shown, e) &&
        run(c, DISCARD, params.at, LETTER_PARAMS, e)) {
        return console_commit(c, e);
    }
    console_rollback(c);
    return false;
}

bool letters_retry(struct console *c, const struct letter_filter *f,
                   const char *reason, struct letter_retry *out, struct err *e)
{
    struct letter_params params;
    letter_params(&params, c, f);
    params.at[10] = scopes[LETTERS_CHAINS];
    params.at[11] = c->who;
    params.at[12] = reason;
    const struct console_query retry = {RETRY, params.at, LETTER_PARAMS};
    struct pg_result *r = console_ask(c, &retry, e);
    if (!r) {
        return false;
    }
    *out = (struct letter_retry){.n_failed = pg_int(r, 0, 0),
                                 .n_held = pg_int(r, 0, 1)};
    snprintf(out->asked_at, sizeof out->asked_at, "%s", pg_str(r, 0, 2));
    console_free(r);
    return true;
}

bool letters_retried(struct console *c, struct letter_retry *retry,
                     struct err *e)
{
    const char *const params[] = {c->plan->name, c->who, retry->asked_at};
    const struct console_query retried = {RETRIED, params, 3};
    struct pg_result *r = console_ask(c, &retried, e);
    if (!r) {
        return false;
    }
    retry->n_waiting = pg_int(r, 0, 0);
    retry->n_again = pg_int(r, 0, 1);
    console_free(r);
    return true;
}

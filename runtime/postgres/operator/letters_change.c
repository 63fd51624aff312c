/* Changing dead letters: see letters.h. */
#include <stdio.h>
#include <string.h>

#include "postgres/operator/letters_part.h"
#include "postgres/wire/result.h"

/*
 * [chain]: all letters of the keys that the filter picks, each with whether it
 * is among those that the change takes ($11, the scope). A letter without a
 * key is a chain by itself. Joins and windows, since an IN that outgrows
 * work_mem compares each with each.
 */
#define CHAIN                                                                  \
    "WITH picked AS (SELECT topic, partition, \"offset\", key "                \
    "FROM tidemill.dead_letter WHERE " LETTER_MATCHES LETTER_LIMIT "), "       \
    "keys AS (SELECT DISTINCT topic, partition, key FROM picked "              \
    "WHERE key IS NOT NULL), "                                                 \
    "chain AS MATERIALIZED (SELECT d.topic, d.partition, d.\"offset\", "       \
    "d.key, d.state, d.attempts, d.retry_at, "                                 \
    "CASE $11::text WHEN 'chains' THEN true "                                  \
    "WHEN 'heads' THEN p.topic IS NOT NULL AND d.state = 'failed' "            \
    "ELSE p.topic IS NOT NULL END AS is_taken "                                \
    "FROM tidemill.dead_letter d "                                             \
    "LEFT JOIN picked p ON p.topic = d.topic AND p.partition = d.partition "   \
    "AND p.\"offset\" = d.\"offset\" "                                         \
    "LEFT JOIN keys k ON k.topic = d.topic AND k.partition = d.partition "     \
    "AND k.key = d.key WHERE d.pipeline = $1 AND d.stream = 'main' "           \
    "AND (p.topic IS NOT NULL OR k.topic IS NOT NULL)) "
#define SAME                                                                   \
    "d.pipeline = $1 AND d.stream = 'main' AND d.topic = c.topic "             \
    "AND d.partition = c.partition AND d.\"offset\" = c.\"offset\" "

/* An orphan: held behind what is taken, and behind nothing that stays. A retry
 * that was asked for frees it, but nobody has said yet that it shall run
 * without what is taken. */
static const char LOOK[] = CHAIN
    "SELECT count(*) FILTER (WHERE is_taken AND state = 'failed'), "
    "count(*) FILTER (WHERE is_taken AND state = 'held'), "
    "count(DISTINCT (topic, partition)), "
    "count(*) FILTER (WHERE NOT is_taken), "
    "(SELECT count(*) FROM (SELECT state, is_taken, retry_at, \"offset\", "
    "min(\"offset\") FILTER (WHERE NOT is_taken AND state = 'failed') "
    "OVER same_key AS head, bool_or(is_taken AND state = 'failed') "
    "OVER same_key AS loses FROM chain WHERE key IS NOT NULL "
    "WINDOW same_key AS (PARTITION BY topic, partition, key)) AS r "
    "WHERE NOT is_taken AND state = 'held' "
    "AND (head IS NULL OR head > \"offset\") "
    "AND (retry_at IS NULL OR loses)), "
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

/* The lanes are locked, and the letters as shown: whatever a statement misses was
 * kept back by the database. */
static const char DISCARD[] = CHAIN
    ", gone AS (DELETE FROM tidemill.dead_letter d USING chain c WHERE " SAME
    "AND c.is_taken RETURNING d.topic, d.partition, d.\"offset\", d.state), "
    "asked AS (UPDATE tidemill.dead_letter d SET retry_at = now() "
    "FROM chain c WHERE " SAME "AND NOT c.is_taken AND $11::text = 'heads' "
    "RETURNING d.retry_at), "
    "lanes AS (SELECT DISTINCT topic, partition FROM chain WHERE is_taken), "
    "raised AS (UPDATE tidemill.lane SET epoch = epoch + 1, updated_at = now() "
    "WHERE pipeline = $1 AND stream = 'main' "
    "AND (topic, partition) IN (SELECT topic, partition FROM lanes) "
    "RETURNING epoch), "
    "noted AS (INSERT INTO tidemill.audit (who, action, pipeline, topic, "
    "partition, detail) SELECT $12::text, 'dlq discard', $1::text, topic, "
    "partition, jsonb_strip_nulls(jsonb_build_object("
    "'offsets', jsonb_agg(\"offset\" ORDER BY \"offset\"), "
    "'failed', count(*) FILTER (WHERE state = 'failed'), "
    "'held', count(*) FILTER (WHERE state = 'held'), "
    "'reason', $13::text)) FROM gone GROUP BY topic, partition "
    "ORDER BY topic COLLATE \"C\", partition RETURNING 1) "
    "SELECT (SELECT count(*) FROM gone) = (SELECT count(*) FROM chain "
    "WHERE is_taken) "
    "AND (SELECT count(retry_at) FROM asked) = (SELECT count(*) FROM chain "
    "WHERE NOT is_taken AND $11::text = 'heads') "
    "AND (SELECT count(*) FROM raised) = (SELECT count(*) FROM tidemill.lane "
    "WHERE pipeline = $1 AND stream = 'main' "
    "AND (topic, partition) IN (SELECT topic, partition FROM lanes)) "
    "AND (SELECT count(*) FROM noted) = (SELECT count(*) FROM lanes)";

/* How many are asked for, and whether that and its note are kept: all that is
 * there is locked first. */
static const char RETRY[] = CHAIN
    ", there AS MATERIALIZED (SELECT d.topic, d.partition, d.\"offset\" "
    "FROM tidemill.dead_letter d JOIN chain c ON " SAME
    "WHERE c.is_taken FOR UPDATE OF d), "
    "asked AS (UPDATE tidemill.dead_letter d SET retry_at = now() "
    "FROM there c WHERE " SAME
    "RETURNING d.topic, d.partition, d.\"offset\", d.state, d.retry_at), "
    "noted AS (INSERT INTO tidemill.audit (who, action, pipeline, topic, "
    "partition, detail) SELECT $12::text, 'dlq retry', $1::text, topic, "
    "partition, jsonb_strip_nulls(jsonb_build_object("
    "'offsets', jsonb_agg(\"offset\" ORDER BY \"offset\"), "
    "'reason', $13::text)) FROM asked GROUP BY topic, partition RETURNING 1) "
    "SELECT count(*) FILTER (WHERE state = 'failed'), "
    "count(*) FILTER (WHERE state = 'held'), now()::text, "
    "count(retry_at) = (SELECT count(*) FROM there) "
    "AND (SELECT count(*) FROM noted) = count(DISTINCT (topic, partition)) "
    "FROM asked";

/* The audit row says which letters they were. */
static const char RETRIED[] =
    "SELECT count(*) FILTER (WHERE d.retry_at IS NOT NULL), "
    "count(*) FILTER (WHERE d.retry_at IS NULL) FROM tidemill.audit a "
    "CROSS JOIN LATERAL jsonb_array_elements_text(a.detail->'offsets') AS o "
    "JOIN tidemill.dead_letter d ON d.pipeline = a.pipeline "
    "AND d.stream = 'main' AND d.topic = a.topic "
    "AND d.partition = a.partition AND d.\"offset\" = o::bigint "
    "WHERE a.pipeline = $1 AND a.action = 'dlq retry' AND a.who = $2 "
    "AND a.at = $3::timestamptz";

static struct params *change_params(struct operator_connection *c,
                                    const struct letter_filter *f,
                                    enum letter_scope scope, const char *reason)
{
    struct params *ps = letter_params(c, f);

    params_text(ps, scopes[scope]);
    params_text(ps, c->who);
    params_text(ps, reason);
    return ps;
}

static void read_look(const struct pg_result *r, struct letter_look *out)
{
    *out = (struct letter_look){.n_failed = pg_int(r, 0, LOOK_FAILED),
                                .n_held = pg_int(r, 0, LOOK_HELD),
                                .n_lanes = pg_int(r, 0, LOOK_LANES),
                                .n_rest = pg_int(r, 0, LOOK_REST),
                                .n_orphans = pg_int(r, 0, LOOK_ORPHANS)};
    snprintf(out->halted, sizeof(out->halted), "%s", pg_str(r, 0, LOOK_HALTED));
    snprintf(out->print, sizeof(out->print), "%s", pg_str(r, 0, LOOK_PRINT));
}

bool letters_look(struct operator_connection *c, const struct letter_filter *f,
                  enum letter_scope scope, struct letter_look *out,
                  struct err *e)
{
    struct params *ps = letter_params(c, f);
    params_text(ps, scopes[scope]);
    struct pg_result *r = operator_connection_ask(c, LOOK, ps, e);
    if (!r) {
        return false;
    }
    read_look(r, out);
    operator_connection_free(r);
    return true;
}

static bool is_as_shown(struct operator_connection *c,
                        const struct letter_filter *f, enum letter_scope scope,
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

static bool not_kept(struct err *e)
{
    return err_set(e, ERR_SCHEMA,
                   "nothing was done, since the database does not keep it: a "
                   "trigger or a policy on tidemill.dead_letter, tidemill.lane "
                   "or tidemill.audit, which `tidemill check` names");
}

/* True: it did, and all of it. */
static bool did(struct operator_connection *c, const char *sql,
                struct params *ps, struct err *e)
{
    struct pg_result *r = operator_connection_ask(c, sql, ps, e);
    bool ok = r && (pg_int(r, 0, 0) || not_kept(e));

    operator_connection_free(r);
    return ok;
}

bool letters_discard(struct operator_connection *c,
                     const struct letter_filter *f, enum letter_scope scope,
                     const struct letter_look *shown, const char *reason,
                     struct err *e)
{
    if (!operator_connection_begin(c, e)) {
        return false;
    }
    struct pg_result *locked =
        operator_connection_ask(c, LOCK, change_params(c, f, scope, reason), e);
    bool ok = locked && is_as_shown(c, f, scope, shown, e) &&
              did(c, DISCARD, change_params(c, f, scope, reason), e);
    operator_connection_free(locked);
    if (ok) {
        return operator_connection_commit(c, e);
    }
    operator_connection_rollback(c);
    return false;
}

bool letters_retry(struct operator_connection *c, const struct letter_filter *f,
                   const char *reason, struct letter_retry *out, struct err *e)
{
    struct pg_result *r =
        operator_connection_begin(c, e)
            ? operator_connection_ask(
                  c, RETRY, change_params(c, f, LETTERS_CHAINS, reason), e)
            : NULL;
    bool ok = r != NULL;
    if (ok) {
        *out = (struct letter_retry){.n_failed = pg_int(r, 0, 0),
                                     .n_held = pg_int(r, 0, 1)};
        snprintf(out->asked_at, sizeof(out->asked_at), "%s", pg_str(r, 0, 2));
        ok = pg_int(r, 0, 3) || not_kept(e);
    }
    operator_connection_free(r);
    if (ok) {
        return operator_connection_commit(c, e);
    }
    operator_connection_rollback(c);
    return false;
}

bool letters_retried(struct operator_connection *c, struct letter_retry *retry,
                     struct err *e)
{
    struct params *ps = operator_connection_params(c);
    params_text(ps, c->plan->name);
    params_text(ps, c->who);
    params_text(ps, retry->asked_at);
    struct pg_result *r = operator_connection_ask(c, RETRIED, ps, e);
    if (!r) {
        return false;
    }
    retry->n_waiting = pg_int(r, 0, 0);
    retry->n_again = pg_int(r, 0, 1);
    operator_connection_free(r);
    return true;
}

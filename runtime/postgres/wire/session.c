/* See session.h. */
#include "postgres/wire/session.h"

#include <string.h>

#include "base/buf.h"
#include "postgres/wire/result.h"

enum { BOTH = SESSION_WORKER | SESSION_PEOPLE };

/* In place of a value: milliseconds, of the pipeline's timeouts. */
static const char STATEMENT[] = "statement", LOCK[] = "lock", IDLE[] = "idle";

/*
 * All that is ours, of the settings that a role or a database can have for its
 * sessions. Not ours, since nothing that we write or read depends on it, or
 * since whoever sets it wants it so:
 *
 *  - search_path, role: which tables and rights a name stands for. Only
 *    pg_catalog must come first, see session_set().
 *  - default_transaction_read_only: who freezes a database wants no writes.
 *  - row_security, session_replication_role, restrict_nonsystem_relation_kind:
 *    what policies, triggers and foreign keys do is the owner's business, and
 *    whoever may not see a row gets an error or no row, not another one.
 *  - default_tablespace, default_table_access_method, temp_tablespaces,
 *    default_toast_compression: where rows lie, not what is in them.
 *  - lc_*, default_text_search_config, timezone_abbreviations: for to_char and
 *    the like, which triggers may use and we do not.
 *  - costs, memory, parallel workers, geqo, vacuum, logging, statistics, debug
 *    output, TCP keepalives, check_function_bodies, gin_*, backend_flush_after:
 *    how fast, how loud, and indexes that no statement of ours asks.
 */
static const struct setting {
    const char *name;
    const char *value; /* as SHOW tells it */
    uint8_t who;
    int16_t since; /* version of the server, 0: every one */
} settings[] = {
    /* Values travel as binary, but arrays and JSON as text, and triggers see
     * the same session whichever role runs it. */
    {"DateStyle", "ISO, MDY", BOTH, 0},
    {"IntervalStyle", "postgres", BOTH, 0},
    {"TimeZone", "UTC", BOTH, 0},
    {"bytea_output", "hex", BOTH, 0},
    {"extra_float_digits", "1", BOTH, 0},
    {"array_nulls", "on", BOTH, 0}, /* off: a NULL is the text 'NULL' */
    {"xmlbinary", "base64", BOTH, 0},
    {"xmloption", "content", BOTH, 0},
    /* What our own SQL means. */
    {"standard_conforming_strings", "on", BOTH, 0},
    {"backslash_quote", "safe_encoding", BOTH, 0},
    {"transform_null_equals", "off", BOTH, 0},
    {"quote_all_identifiers", "off", BOTH, 0},
    /* The check of the tables (shape.h) must see what others committed since
     * BEGIN, and a claim what was committed while it waited. */
    {"default_transaction_isolation", "read committed", BOTH, 0},
    {"default_transaction_deferrable", "off", BOTH, 0},
    /* What ends our waits and sessions: the pipeline says, nobody else. */
    {"statement_timeout", STATEMENT, BOTH, 0},
    {"lock_timeout", LOCK, BOTH, 0},
    {"idle_in_transaction_session_timeout", IDLE, BOTH, 0},
    {"idle_session_timeout", "0", BOTH, 14},
    {"transaction_timeout", "0", BOTH, 17},
    {"exit_on_error", "off", BOTH, 0},
    /* A statement prepared while its table is empty would keep a plan that
     * scans it for ever. jit: a plan that the cuts make look dear would be
     * compiled, for seconds. */
    {"plan_cache_mode", "auto", BOTH, 0},
    {"enable_seqscan", "off", SESSION_WORKER, 0},
    {"enable_hashjoin", "off", SESSION_WORKER, 0},
    {"enable_mergejoin", "off", SESSION_WORKER, 0},
    {"enable_nestloop", "on", SESSION_WORKER, 0},
    {"enable_indexscan", "on", SESSION_WORKER, 0},
    {"jit", "off", SESSION_WORKER, 0},
    /* Letters come faster than statistics of them, and a nested loop that was
     * meant for a handful compares each of 40,000 with each. */
    {"enable_nestloop", "off", SESSION_PEOPLE, 0},
};

/* Only a superuser sets these. With them rows on damaged pages are not there,
 * or are garbage: a fold would begin them anew. */
static const struct setting refused[] = {
    {"zero_damaged_pages", "off", BOTH, 0},
    {"ignore_checksum_failure", "off", BOTH, 0},
};

enum { N_SETTINGS = sizeof(settings) / sizeof(*settings) };

static bool is_timeout(const struct setting *s)
{
    return s->value == STATEMENT || s->value == LOCK || s->value == IDLE;
}

/* Whoever waits for a lock is told so, rather than that a statement took too
 * long: that may be a record's fault, a lock is not. */
static uint32_t lock_ms(const struct plan_timeouts *t)
{
    uint32_t most = t->statement_ms - t->statement_ms / 4;

    return t->statement_ms && t->lock_ms > most ? most : t->lock_ms;
}

static uint32_t ms_of(const struct setting *s, const struct plan_timeouts *t)
{
    return s->value == STATEMENT ? t->statement_ms
           : s->value == LOCK    ? lock_ms(t)
                                 : t->idle_in_transaction_ms;
}

static void put_value(struct buf *b, const struct setting *s,
                      const struct plan_timeouts *t)
{
    if (is_timeout(s)) {
        buf_printf(b, "%ums", ms_of(s, t));
    } else {
        buf_puts(b, s->value);
    }
}

/* A version that does not know one of them would refuse the session. 14 is
 * taken for granted here, and what is older gets no options at all. */
static bool is_in_start(const struct setting *s)
{
    return s->since <= 14;
}

char *session_options(enum session_kind kind, const struct plan_timeouts *t,
                      const char *said)
{
    struct buf b = {0};
    buf_puts(&b, said ? said : "");
    for (const struct setting *s = settings; s < settings + N_SETTINGS; s++) {
        struct buf value = {0};
        if (!(s->who & kind) || !is_in_start(s)) {
            continue;
        }
        put_value(&value, s, t);
        buf_printf(&b, "%s-c %s=", b.len ? " " : "", s->name);
        for (const char *p = buf_text(&value); *p; p++) {
            buf_printf(&b, *p == ' ' ? "\\%c" : "%c", *p);
        }
        buf_close(&value);
    }
    return buf_text(&b);
}

/* ('name', 'value'), ... */
static void put_values(struct buf *b, enum session_kind kind,
                       const struct plan_timeouts *t)
{
    const char *comma = "";
    for (const struct setting *s = settings; s < settings + N_SETTINGS; s++) {
        if ((s->who & kind) && (t || !is_timeout(s))) {
            buf_printf(b, "%s('%s', '", comma, s->name);
            put_value(b, s, t);
            buf_printf(b, "', %d)", s->since * 10000);
            comma = ", ";
        }
    }
}

/* synchronous_commit: what was committed must be there after a crash of the
 * server, or Kafka was told something that is not so. search_path: with
 * pg_catalog behind a schema of the user's, a function or an operator of the
 * same name would stand in for PostgreSQL's; unnamed it comes first. */
char *session_set(enum session_kind kind, const struct plan_timeouts *t)
{
    struct buf b = {0};
    buf_puts(&b, "SELECT pg_catalog.set_config(name, value, false) "
                 "FROM (VALUES ");
    put_values(&b, kind, t);
    buf_puts(
        &b,
        ", ('synchronous_commit', CASE "
        "pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
        "ELSE pg_catalog.current_setting('synchronous_commit') END, 0), "
        "('search_path', CASE WHEN pg_catalog.array_position("
        "pg_catalog.current_schemas(true), 'pg_catalog') > 1 "
        "THEN pg_catalog.btrim(pg_catalog.regexp_replace("
        "pg_catalog.current_setting('search_path'), "
        "'(^|,) *\"?pg_catalog\"? *(?=,|$)', '', 'g'), ', ') "
        "ELSE pg_catalog.current_setting('search_path') END, 0)) "
        "AS s(name, value, since) WHERE since <= "
        "pg_catalog.current_setting('server_version_num')::int4");
    return buf_text(&b);
}

char *session_look(enum session_kind kind)
{
    struct buf b = {0};
    buf_puts(&b, "SELECT string_agg(format('%s is %s and not %s', name, "
                 "current_setting(name, true), value), ', ') FROM (VALUES ");
    put_values(&b, kind, NULL);
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        buf_printf(&b, ", ('%s', '%s', 0)", refused[i].name, refused[i].value);
    }
    buf_puts(&b, ") AS s(name, value, since) "
                 "WHERE current_setting(name, true) <> value");
    return buf_text(&b);
}

bool session_is_ours(const struct pg_result *looked, struct err *e)
{
    int len;
    return !pg_value(looked, 0, 0, &len) ||
           err_set(e, ERR_CONFIG,
                   "the session is not as it must be: %.300s. Reset what the "
                   "role or the database sets (ALTER ROLE ... RESET, ALTER "
                   "DATABASE ... RESET); a pooler in transaction mode may "
                   "change it too: use session mode",
                   pg_str(looked, 0, 0));
}

const char session_optional[] =
    "SELECT set_config('client_connection_check_interval', '10s', false)";

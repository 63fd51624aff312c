/* See sql.h: which statement a text is, its parameters, and who runs it. */
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "base/arena.h"

/* ---- recognising ---- */

/* What is in the text of each and of no other; the first one counts. */
static const struct {
    const char *part;
    enum kind kind;
    const char *name;
} words[] = {
    {"BEGIN ISOLATION LEVEL REPEATABLE READ", SQL_SNAPSHOT, "begin snapshot"},
    {"SET LOCAL lock_timeout = ", SQL_LOCK_TIMEOUT, "lock timeout"},
    {"WHERE current_setting(name, true) <> value", SQL_SESSION_LOOK, "look"},
    {"set_config(", SQL_SESSION, "settings"},
    {"UPDATE tidemill.lane SET epoch = greatest(", SQL_CLAIM, "claim"},
    {"INSERT INTO tidemill.lane", SQL_CREATE, "create"},
    {"SET next_offset = $6, anchor_ms = NULL", SQL_FIRST, "first position"},
    {"FROM tidemill.lane AS l JOIN pg_locks", SQL_HOLDER, "holder"},
    {"WITH w AS (UPDATE tidemill.lane SET next_offset", SQL_MOVE, "move"},
    {"WITH w AS (SELECT 1 FROM tidemill.lane", SQL_FENCE, "fence"},
    {"SET is_rewound = false, anchor_ms = NULL", SQL_SETTLE, "settle"},
    {"SELECT tidemill.must(is_kept", SQL_HALT, "halt"},
    {"SELECT is_kept FROM k", SQL_NOTE_HALT, "note halt"},
    {"SELECT l.epoch, l.owner IS NULL", SQL_EPOCHS, "epochs"},
    {"SELECT topic, partition, coalesce(next_offset", SQL_LIST, "list"},
    {"SELECT pipeline FROM tidemill.lane", SQL_OWNERS, "owners"},
    {"SELECT DISTINCT pipeline, topic FROM", SQL_FOREIGN, "foreign"},
    {"INSERT INTO tidemill.dead_letter", SQL_PUT, "put letters"},
    {"DELETE FROM tidemill.dead_letter", SQL_END, "end letters"},
    {"CASE WHEN holds THEN key END AS key", SQL_KEYS, "held keys"},
    {"SELECT DISTINCT topic, partition FROM", SQL_WANTED, "wanted"},
    {"joined AS (UPDATE tidemill.dead_letter", SQL_ASK, "ask letters"},
    {"UPDATE tidemill.dead_letter SET retry_at = NULL", SQL_REST,
     "rest letters"},
    {"WITH RECURSIVE t(oid) AS (SELECT c.oid FROM pg_class", SQL_SHAPE,
     "shape"},
    {"'TM003') FROM (", SQL_CHECK, "check"},
    {"current_setting('server_version_num')", SQL_SERVER, "server"},
    {"format_type(a.atttypid", SQL_COLUMNS, "columns"},
    {"SELECT x.relname, i.indimmediate", SQL_INDEXES, "indexes"},
    {"SELECT DISTINCT f.confrelid", SQL_PARENTS, "parents"},
    {"WITH RECURSIVE o AS (SELECT c.oid, c.relkind", SQL_CAUSES, "causes"},
    {"SELECT c.relkind, has_schema_privilege", SQL_TABLE, "table"},
    {"SELECT (SELECT min(x) FROM (SELECT 'trigger '", SQL_LOUD, "loud"},
};

static const char *const table_words[SQL_KINDS] = {
    [SQL_LOAD] = "load",     [SQL_UPDATE] = "update", [SQL_INSERT] = "insert",
    [SQL_DELETE] = "delete", [SQL_VERIFY] = "verify", [SQL_MERGE] = "merge",
    [SQL_APPEND] = "append"};

/* Of the comparison that the check goes by: "ANY ('{number}'::xid[])". */
static uint32_t shape_of(const char *sql)
{
    return (uint32_t)strtoul(strstr(sql, "'{") + 2, NULL, 10);
}

/* A lane is one row of all pipelines': a text that names less of it would meet
 * others. */
static void read_conditions(struct statement *s)
{
    static const char lane[] =
        "WHERE pipeline = $1 AND stream = 'main' AND topic = $2 "
        "AND partition = $3";

    s->by_epoch = strstr(s->sql, "epoch = $4") != NULL;
    s->by_offset = strstr(s->sql, "next_offset = $5") != NULL;
    s->by_xmin = strstr(s->sql, "t.xmin = u.x") != NULL;
    s->locks = strstr(s->sql, "FOR UPDATE") != NULL ||
               strstr(s->sql, "FOR NO KEY UPDATE") != NULL;
    s->demands = strstr(s->sql, "tidemill.must(") != NULL;
    expect(!strstr(s->sql, "UPDATE tidemill.lane") || strstr(s->sql, lane),
           "a statement changes other lanes too: %s", s->sql);
}

static bool recognise(struct statement *s)
{
    static const struct {
        const char *sql;
        enum kind kind;
    } plain[] = {{"BEGIN", SQL_BEGIN},
                 {"COMMIT", SQL_COMMIT},
                 {"ROLLBACK", SQL_ROLLBACK}};
    const char *at;

    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
        if (strcmp(s->sql, plain[i].sql) == 0) {
            s->kind = plain[i].kind;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        at = strstr(s->sql, words[i].part);
        if (at) {
            s->kind = words[i].kind;
            s->number =
                s->kind == SQL_CHECK
                    ? shape_of(s->sql)
                    : (uint32_t)strtoul(at + strlen(words[i].part), NULL, 10);
            return true;
        }
    }
    return table_parse(s);
}

const struct statement *statement_of(const char *sql)
{
    static struct statement *known;
    struct statement *s = known;

    while (s && strcmp(s->sql, sql) != 0) {
        s = s->next;
    }
    if (!s) {
        s = mem_zero(1, sizeof(*s));
        s->sql = mem_dup(sql);
        s->next = known;
        known = s;
        read_conditions(s);
        expect(recognise(s), "the simulator does not know the statement: %s",
               sql);
    }
    return s;
}

enum statement_verb statement_verb(const struct statement *s, uint32_t *number)
{
    *number = s->number;
    return s->kind == SQL_BEGIN          ? VERB_BEGIN
           : s->kind == SQL_SNAPSHOT     ? VERB_BEGIN_SNAPSHOT
           : s->kind == SQL_COMMIT       ? VERB_COMMIT
           : s->kind == SQL_ROLLBACK     ? VERB_ROLLBACK
           : s->kind == SQL_LOCK_TIMEOUT ? VERB_LOCK_TIMEOUT
                                         : VERB_OTHER;
}

bool statement_uses(const struct statement *s, enum table t)
{
    return s->kind >= SQL_LOAD && s->table == t;
}

const char *statement_name(const struct statement *s)
{
    static char text[80];

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (words[i].kind == s->kind) {
            return words[i].name;
        }
    }
    snprintf(text, sizeof(text), "%s %s",
             table_words[s->kind] ? table_words[s->kind] : s->sql,
             table_words[s->kind] ? shown[s->table].name : "");
    return text;
}

/* ---- parameters ---- */

static uint32_t u32_at(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static int64_t int_at(const char *p, int len)
{
    int64_t v = len && (signed char)*p < 0 ? -1 : 0;

    for (int i = 0; i < len; i++) {
        v = (int64_t)((uint64_t)v << 8 | (unsigned char)p[i]);
    }
    return v;
}

int64_t param_int(const struct call *c, int at)
{
    return int_at(c->params[at].p, c->params[at].len);
}

const char *param_text(const struct call *c, int at)
{
    return c->params[at].p;
}

/* Dimensions, flags, type, then length and lower bound of the only one. */
struct elements elements_of(const struct call *c, int at)
{
    const char *p = c->params[at].p;

    return u32_at(p) == 0 ? (struct elements){0}
                          : (struct elements){u32_at(p + 12), p + 20};
}

const char *element_next(struct elements *e, int *len)
{
    int32_t n = (int32_t)u32_at(e->next);
    const char *p = n < 0 ? NULL : e->next + 4;

    e->next += 4 + (n > 0 ? n : 0);
    *len = n;
    return p;
}

int64_t element_int(struct elements *e, bool *is_null)
{
    int len;
    const char *p = element_next(e, &len);

    *is_null = !p;
    return p ? int_at(p, len) : 0;
}

struct pg_result *must_hold(const struct call *c, bool ok, const char *sqlstate)
{
    return !ok && c->s->demands
               ? answer_error(sqlstate, "tidemill.must() says no")
               : answer_one_null();
}

/* ---- running ---- */

struct pg_result *statement_run(struct tx *t, const struct call *c)
{
    switch (c->s->kind) {
    case SQL_SESSION:
    case SQL_SESSION_LOOK:
        return answer_one_null();
    case SQL_PUT:
        return aside_put(t, c);
    case SQL_END:
        return aside_end(t, c);
    case SQL_REST:
        return aside_rest(t, c);
    case SQL_KEYS:
        return aside_keys(t, c);
    case SQL_WANTED:
        return aside_wanted(t);
    case SQL_ASK:
        return aside_ask(t, c);
    default:
        return c->s->kind >= SQL_LOAD    ? table_run(t, c)
               : c->s->kind >= SQL_SHAPE ? catalog_run(t, c)
                                         : lanes_run(t, c);
    }
}

/* See sql.h: recognising, and tidemill.lane. */
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "base/arena.h"
#include "broker.h"

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

/* ---- tidemill.lane ---- */

static struct row *lane_row(const struct call *c)
{
    return db_row(LANES, (uint32_t)param_int(c, 2), 0, "");
}

/* [r]: NULL: there is none. */
typedef struct pg_result *lane_fn(struct tx *t, const struct call *c,
                                  struct row *r);

/* Does it to the row, which is locked for it; NULL: it waits. */
static struct pg_result *on_lane(struct tx *t, const struct call *c,
                                 lane_fn *fn)
{
    struct row *r = lane_row(c);

    if ((db_see(t, r) || r->holder) && !db_lock(t, r)) {
        return NULL;
    }
    return fn(t, c, db_see(t, r) ? r : NULL);
}

static struct pg_result *claim(struct tx *t, const struct call *c,
                               struct row *r)
{
    struct pg_result *out = answer_new(7);
    struct lane_value *v;

    if (!r) {
        return out;
    }
    v = &db_change(t, r)->lane;
    v->epoch = (v->epoch > 0 ? v->epoch : 0) +
               (strstr(c->s->sql, "greatest(epoch, 0) + 1") != NULL);
    v->life = session_life(t->session);
    snprintf(v->owner, sizeof(v->owner), "%s", param_text(c, 3));
    if (v->halted_generation[0] &&
        strcmp(v->halted_generation, param_text(c, 5)) != 0) {
        v->is_halted = false;
        v->halted_generation[0] = '\0';
    }
    (v->has_offset ? answer_int8(out, v->next_offset) : answer_null(out));
    answer_int8(out, v->epoch);
    answer_bool(out, v->is_rewound);
    (v->has_anchor_ms ? answer_int8(out, v->anchor_ms) : answer_null(out));
    (v->has_anchor ? answer_int8(out, v->anchor_hash) : answer_null(out));
    (v->is_halted ? answer_text(out, v->halted) : answer_null(out));
    (v->is_halted ? answer_int8(out, v->halted_at) : answer_null(out));
    return out;
}

static struct pg_result *create(struct tx *t, const struct call *c)
{
    struct row *r = lane_row(c);
    struct lane_value *v;

    if (!db_lock(t, r)) {
        return NULL;
    }
    if (!db_see(t, r)) {
        struct version *made = db_change(t, r);

        made->exists = true;
        v = &made->lane;
        *v = (struct lane_value){.has_offset = true,
                                 .next_offset = param_int(c, 3),
                                 .epoch = param_int(c, 6)};
        if (c->params[7].p) {
            v->is_halted = true;
            snprintf(v->halted, sizeof(v->halted), "%s", param_text(c, 7));
        }
        if (c->params[8].p) {
            v->has_anchor_ms = true;
            v->anchor_ms = param_int(c, 8);
        }
    }
    return answer_new(1);
}

static bool is_at(const struct row *r, const struct tx *t, const struct call *c)
{
    const struct version *v = r ? db_see(t, r) : NULL;

    return v && (!c->s->by_epoch || v->lane.epoch == param_int(c, 3)) &&
           (!c->s->by_offset || v->lane.next_offset == param_int(c, 4));
}

/* Each claim and each person raises the epoch, so that a worker whose claim is the
 * last one knows epoch and position: nobody fences himself. */
static struct pg_result *held_against(const struct row *r, const struct tx *t,
                                      const struct call *c)
{
    const struct version *v = r ? db_see(t, r) : NULL;
    bool ok = is_at(r, t, c);

    expect(ok || !v || !v->lane.life ||
               v->lane.life != session_life(t->session),
           "a worker knows lane %u as %lld in epoch %lld, which it claimed "
           "itself as %lld in epoch %lld",
           r ? r->partition : 0, (long long)param_int(c, 4),
           (long long)param_int(c, 3), v ? (long long)v->lane.next_offset : -1,
           v ? (long long)v->lane.epoch : -1);
    return must_hold(c, ok, "TM001");
}

static struct pg_result *move(struct tx *t, const struct call *c, struct row *r)
{
    struct lane_value *v;

    if (r && db_is_stale(t, r)) {
        return answer_stale();
    }
    if (!is_at(r, t, c)) {
        return held_against(r, t, c);
    }
    v = &db_change(t, r)->lane;
    v->next_offset = param_int(c, 5);
    v->has_anchor = v->has_anchor_ms = true;
    v->anchor_ms = param_int(c, 7);
    v->anchor_hash = param_int(c, 8);
    v->is_rewound = v->is_rewound && !param_int(c, 9);
    return must_hold(c, true, "");
}

static struct pg_result *fence(struct tx *t, const struct call *c,
                               struct row *r)
{
    return r && db_is_stale(t, r) ? answer_stale() : held_against(r, t, c);
}

static struct pg_result *first_position(struct tx *t, const struct call *c,
                                        struct row *r)
{
    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->next_offset = param_int(c, 5);
        v->has_anchor_ms = false;
    }
    return answer_new(1);
}

static struct pg_result *settle(struct tx *t, const struct call *c,
                                struct row *r)
{
    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->is_rewound = v->has_anchor = v->has_anchor_ms = false;
    }
    return answer_new(1);
}

static struct pg_result *halt(struct tx *t, const struct call *c, struct row *r)
{
    struct pg_result *out;

    if (is_at(r, t, c)) {
        struct lane_value *v = &db_change(t, r)->lane;

        v->is_halted = true;
        v->halted_at = param_int(c, 6);
        snprintf(v->halted, sizeof(v->halted), "%s", param_text(c, 4));
        snprintf(v->halted_generation, sizeof(v->halted_generation), "%s",
                 c->params[5].p ? param_text(c, 5) : "");
    }
    if (c->s->kind == SQL_HALT) {
        return must_hold(c, true, "");
    }
    out = answer_new(1);
    answer_bool(out, true);
    return out;
}

static struct pg_result *epochs(const struct tx *t, const struct call *c)
{
    struct elements e = elements_of(c, 2);
    struct pg_result *out = answer_new(2);

    for (uint32_t i = 0; i < e.n; i++) {
        bool is_null;
        uint32_t partition = (uint32_t)element_int(&e, &is_null);
        const struct version *v = db_see(t, db_row(LANES, partition, 0, ""));

        if (v) {
            answer_int8(out, v->lane.epoch);
            answer_bool(out, !v->lane.owner[0] ||
                                 strcmp(v->lane.owner, param_text(c, 3)) == 0);
        } else {
            answer_null(out);
            answer_null(out);
        }
    }
    return out;
}

static struct pg_result *list(const struct tx *t)
{
    struct pg_result *out = answer_new(7);

    for (uint32_t i = 0; i < n_partitions; i++) {
        const struct version *v = db_see(t, db_row(LANES, i, 0, ""));

        if (v) {
            answer_text(out, topic_name);
            answer_int4(out, (int32_t)i);
            answer_int8(out, v->lane.next_offset);
            answer_int8(out, v->lane.epoch);
            answer_bool(out, v->lane.is_rewound);
            answer_text(out, v->lane.is_halted ? v->lane.halted : "");
            answer_text(out, v->lane.owner);
        }
    }
    return out;
}

static struct pg_result *owners(const struct tx *t, const struct call *c)
{
    struct pg_result *out = answer_new(1);

    for (uint32_t i = 0; i < n_partitions; i++) {
        if (db_see(t, db_row(LANES, i, 0, ""))) {
            answer_text(out, param_text(c, 0));
            break;
        }
    }
    return out;
}

struct pg_result *statement_run(struct tx *t, const struct call *c)
{
    switch (c->s->kind) {
    case SQL_SESSION:
    case SQL_SESSION_LOOK:
        return answer_one_null();
    case SQL_CLAIM:
        return on_lane(t, c, claim);
    case SQL_CREATE:
        return create(t, c);
    case SQL_FIRST:
        return on_lane(t, c, first_position);
    case SQL_HOLDER:
    case SQL_FOREIGN:
        return answer_new(2);
    case SQL_MOVE:
        return on_lane(t, c, move);
    case SQL_FENCE:
        return c->s->locks ? on_lane(t, c, fence) : fence(t, c, lane_row(c));
    case SQL_SETTLE:
        return on_lane(t, c, settle);
    case SQL_HALT:
    case SQL_NOTE_HALT:
        return on_lane(t, c, halt);
    case SQL_EPOCHS:
        return epochs(t, c);
    case SQL_LIST:
        return list(t);
    case SQL_OWNERS:
        return owners(t, c);
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
        return c->s->kind >= SQL_LOAD ? table_run(t, c) : catalog_run(t, c);
    }
}

/* See seal.h. Names are looked up at every call, as the statements that write
 * look them up: a table may be renamed while a worker runs. */
#include "postgres/seal.h"

#include <string.h>

#include "postgres/sql_text.h"

enum { OID_INT8 = 20 };

/* Fired by foreign keys in the tables that they point at, and changing rows;
 * all others only look. */
#define ACTIONS                                                                \
    "('\"RI_FKey_cascade_del\"'::regproc, "                                    \
    "'\"RI_FKey_cascade_upd\"'::regproc, "                                     \
    "'\"RI_FKey_setnull_del\"'::regproc, "                                     \
    "'\"RI_FKey_setnull_upd\"'::regproc, "                                     \
    "'\"RI_FKey_setdefault_del\"'::regproc, "                                  \
    "'\"RI_FKey_setdefault_upd\"'::regproc)"
#define IS_LOUD                                                                \
    "t.tgenabled <> 'D' AND (NOT t.tgisinternal OR t.tgfoid IN " ACTIONS ")"

/* 'public."Name"' as a literal: table names of a plan have no quotes. */
static void put_table(struct buf *b, const char *table)
{
    buf_puts(b, "to_regclass('");
    sql_quote_table(b, table);
    buf_puts(b, "'), ");
}

/* All that the pipeline writes, without their parts. */
static void put_own(struct buf *b, const struct plan *p)
{
    buf_puts(b, "ARRAY[");
    for (uint32_t i = 0; i < p->n_projections; i++) {
        put_table(b, p->projections[i].table);
    }
    buf_puts(b, "to_regclass('tidemill.lane'), "
                "to_regclass('tidemill.dead_letter')]::oid[]");
}

static void put_cached(struct buf *b, const struct plan *p)
{
    buf_puts(b, "ARRAY[");
    for (uint32_t i = 0; i < p->n_projections; i++) {
        if (p->projections[i].is_cached) {
            put_table(b, p->projections[i].table);
        }
    }
    buf_puts(b, "NULL]::oid[]");
}

/* For people, who may lack rights in a schema, which to_regclass() makes an
 * error: whatever has one of the names is looked at. */
static void put_named(struct buf *b, const struct plan *p)
{
    buf_puts(b, "(SELECT array_agg(c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                "n.nspname = 'tidemill' "
                "AND c.relname IN ('lane', 'dead_letter')");
    for (uint32_t i = 0; i < p->n_projections; i++) {
        struct sql_name name = sql_split(p->projections[i].table);

        buf_printf(b, " OR (c.relname = '%s' AND ", name.table);
        if (name.schema_len > 0) {
            buf_printf(b, "n.nspname = '%.*s')", name.schema_len, name.schema);
        } else {
            buf_puts(b, "pg_table_is_visible(c.oid))");
        }
    }
    buf_puts(b, ")");
}

/* w: every table that the pipeline writes, with its parts. */
static void put_with(struct buf *b, const struct plan *p,
                     void (*put)(struct buf *, const struct plan *))
{
    buf_puts(b, "WITH RECURSIVE own(oids) AS (SELECT ");
    put(b, p);
    buf_puts(b, "), w(oid) AS (SELECT unnest(oids) FROM own UNION "
                "SELECT i.inhrelid FROM pg_inherits i "
                "JOIN w ON i.inhparent = w.oid) ");
}

static void put_head(struct buf *b)
{
    buf_puts(b, "SELECT pg_current_xact_id()::xid, s.is_quiet, s.shape, "
                "tidemill.must($1 IS NULL OR s.shape = $1, 'TM002') "
                "FROM (SELECT ");
}

/* Where there are no parts, both kinds give the same. */
static void put_shape(struct buf *b, const struct plan *p, const char *parts)
{
    buf_puts(b, " AS is_quiet, hashtextextended(concat(");
    put_cached(b, p);
    buf_printf(b,
               "::text, %s, (SELECT string_agg(concat(a.attrelid, '.', "
               "a.attnum, '.', a.attname), ',' ORDER BY a.attrelid, a.attnum) "
               "FROM pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped "
               "AND a.attrelid = ANY (",
               parts);
    put_cached(b, p);
    buf_puts(b, "))), 0) AS shape) AS s");
}

static void put_light(struct buf *b, const struct plan *p)
{
    put_head(b);
    buf_printf(b,
               "(SELECT count(*) = %u AND NOT bool_or(c.relhastriggers OR "
               "c.relhasrules OR c.relhassubclass OR c.relispartition) "
               "FROM pg_class c WHERE c.oid = ANY (",
               p->n_projections + 2);
    put_own(b, p);
    buf_puts(b, "))");
    put_shape(b, p, "NULL");
}

static void put_deep(struct buf *b, const struct plan *p)
{
    put_with(b, p, put_own);
    put_head(b);
    buf_puts(b, "NOT EXISTS (SELECT 1 FROM w JOIN pg_trigger t "
                "ON t.tgrelid = w.oid WHERE " IS_LOUD ") "
                "AND NOT EXISTS (SELECT 1 FROM w JOIN pg_rewrite r "
                "ON r.ev_class = w.oid) "
                "AND NOT EXISTS (SELECT 1 FROM own JOIN pg_inherits i "
                "ON i.inhrelid = ANY (own.oids)) "
                "AND (SELECT count(DISTINCT o) = count(*) FROM own, "
                "unnest(oids) o)");
    put_shape(b, p,
              "(SELECT string_agg(w.oid::text, ',' ORDER BY w.oid) FROM own, w "
              "WHERE w.oid <> ALL (own.oids))");
}

void seal_prepare(const struct plan *p, struct arena *a,
                  struct pgstmt out[SEAL_KINDS])
{
    static const uint32_t oids[] = {OID_INT8};
    static const char *const names[] = {"tm_seal_light", "tm_seal_deep"};

    for (int kind = 0; kind < SEAL_KINDS; kind++) {
        struct buf b = {0};

        (kind == SEAL_LIGHT ? put_light : put_deep)(&b, p);
        out[kind] = (struct pgstmt){.name = names[kind],
                                    .sql = arena_dup(a, b.data, b.len),
                                    .param_oids = oids,
                                    .n_params = 1};
        buf_close(&b);
    }
}

const char *seal_loud_sql(const struct plan *p, struct arena *a)
{
    struct buf b = {0};
    const char *sql;

    put_with(&b, p, put_named);
    buf_puts(&b,
             "SELECT (SELECT min(x) FROM (SELECT 'trigger ' || t.tgname || ' "
             "on ' || "
             "w.oid::regclass FROM w JOIN pg_trigger t ON t.tgrelid = w.oid "
             "WHERE t.tgenabled <> 'D' AND NOT t.tgisinternal "
             "UNION ALL SELECT 'foreign key ' || f.conname || ' of ' || "
             "f.conrelid::regclass || ', which acts on changes of ' || "
             "w.oid::regclass FROM w JOIN pg_trigger t ON t.tgrelid = w.oid "
             "JOIN pg_constraint f ON f.oid = t.tgconstraint "
             "WHERE t.tgenabled <> 'D' AND t.tgfoid IN " ACTIONS " "
             "UNION ALL SELECT 'rule ' || r.rulename || ' on ' || "
             "w.oid::regclass FROM w JOIN pg_rewrite r ON r.ev_class = w.oid "
             "UNION ALL SELECT i.inhrelid::regclass || ' being a part of ' || "
             "i.inhparent::regclass FROM own JOIN pg_inherits i "
             "ON i.inhrelid = ANY (own.oids)) AS loud(x))");
    sql = arena_dup(a, b.data, b.len);
    buf_close(&b);
    return sql;
}

void seal_ask(struct pgconn *c, const struct pgstmt *s, int64_t shape)
{
    uint64_t wire = __builtin_bswap64((uint64_t)shape);
    struct pgparam param = {.data = shape ? (const char *)&wire : NULL,
                            .len = sizeof(wire)};

    pgconn_add(c, s, &param);
}

void seal_read(const struct pg_result *r, struct seal *out)
{
    int len = 0;
    uint32_t wire;

    memcpy(&wire, pg_value(r, 0, 0, &len), sizeof(wire));
    out->xid = __builtin_bswap32(wire);
    out->is_quiet = pg_int(r, 0, 1) != 0;
    out->shape = pg_int(r, 0, 2);
}

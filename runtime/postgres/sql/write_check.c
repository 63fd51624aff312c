/* See write_check.h. */
#include "postgres/sql/write_check.h"

#include "postgres/sql/sql_text.h"

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

/* For people, who may lack rights in a schema, which to_regclass() makes an
 * error: whatever has one of the names is looked at. */
static void put_named(struct buf *b, const struct plan *p)
{
    buf_puts(b, "(SELECT array_agg(c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                "n.nspname = 'tidemill' "
                "AND c.relname IN ('lane', 'dead_letter')");
    sql_or_tables(b, p);
    buf_puts(b, ")");
}

char *write_check_sql(const char *all, const char *own, bool is_distinct)
{
    struct buf b = {0};

    buf_printf(&b,
               "SELECT %s AND NOT EXISTS (SELECT 1 FROM pg_trigger t "
               "WHERE t.tgrelid = ANY ('%s'::oid[]) AND " IS_LOUD ") "
               "AND NOT EXISTS (SELECT 1 FROM pg_rewrite "
               "WHERE ev_class = ANY ('%s'::oid[])) "
               "AND NOT EXISTS (SELECT 1 FROM pg_inherits "
               "WHERE inhrelid = ANY ('%s'::oid[]))",
               is_distinct ? "true" : "false", all, all, own);
    return buf_text(&b);
}

const char *write_check_causes_sql(const struct plan *p, struct arena *a)
{
    struct buf b = {0};
    const char *sql;

    buf_puts(&b, "WITH RECURSIVE own(oids) AS (SELECT ");
    put_named(&b, p);
    buf_puts(&b, "), w(oid) AS (SELECT unnest(oids) FROM own UNION "
                 "SELECT i.inhrelid FROM pg_inherits i "
                 "JOIN w ON i.inhparent = w.oid) ");
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
             "ON i.inhrelid = ANY (own.oids)) AS causes(x))");
    sql = arena_dup(a, b.data, b.len);
    buf_close(&b);
    return sql;
}

/* See shape.h. */
#include "postgres/store/shape.h"

#include <stdlib.h>

#include "base/buf.h"
#include "postgres/sql/sql_text.h"
#include "postgres/sql/write_check.h"

enum field {
    N_VERSIONS,
    VERSIONS, /* the distinct ones */
    ALL,      /* oids: tables, those of schema tidemill, and all their parts */
    OWN,      /* the same without parts */
    TABLES,
    SCHEMAS,
    IS_PLAIN,   /* no table has what could have side effects */
    IS_DISTINCT /* no two names are one table */
};

/* Row versions, of which a check looks at exactly these. */
#define VERSIONS_OF(all, tables, schemas)                                      \
    "SELECT xmin FROM pg_class WHERE oid = ANY (" all ") "                     \
    "UNION ALL SELECT xmin FROM pg_attribute WHERE attrelid = ANY (" tables    \
    ") AND attnum > 0 "                                                        \
    "UNION ALL SELECT xmin FROM pg_index WHERE indrelid = ANY (" tables ") "   \
    "UNION ALL SELECT xmin FROM pg_namespace WHERE oid = ANY (" schemas ") "   \
    "UNION ALL SELECT xmin FROM pg_proc WHERE proname = 'version' "            \
    "AND pronargs = 0 AND pronamespace = ANY (" schemas ")"
/* Of tables that are not plain: the first part or foreign key is told by
 * pg_class. Foreign keys say what is written first. */
#define MORE_OF(all, tables)                                                   \
    " UNION ALL SELECT xmin FROM pg_inherits WHERE inhparent = ANY (" all      \
    ") UNION ALL SELECT xmin FROM pg_constraint WHERE conrelid = ANY (" tables \
    ") AND contype = 'f'"

#define OF(list) "(SELECT " list " FROM l)::oid[]"

static const char TAIL[] =
    "), o(oid) AS (SELECT oid FROM t UNION SELECT c.oid FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = "
    "'tidemill' AND c.relname IN ('lane', 'dead_letter')), "
    "w(oid) AS (SELECT oid FROM o UNION SELECT i.inhrelid FROM pg_inherits i "
    "JOIN w ON i.inhparent = w.oid), "
    "l(a, o, t, s) AS (SELECT ARRAY(SELECT oid FROM w ORDER BY oid), "
    "ARRAY(SELECT oid FROM o ORDER BY oid), "
    "ARRAY(SELECT oid FROM t ORDER BY oid), "
    "ARRAY(SELECT DISTINCT relnamespace FROM pg_class JOIN o USING (oid))), "
    "v(x) AS (" VERSIONS_OF(OF("a"), OF("t"), OF("s")) MORE_OF(
        OF("a"),
        OF("t")) "), p(is_plain) AS (SELECT coalesce(NOT "
                 "bool_or(c.relhastriggers "
                 "OR "
                 "c.relhasrules OR c.relhassubclass OR c.relispartition), "
                 "false) "
                 "FROM pg_class c, l WHERE c.oid = ANY (l.o)) "
                 "SELECT (SELECT count(*) FROM v), "
                 "ARRAY(SELECT DISTINCT x::text FROM v ORDER BY 1)::text, "
                 "a::text, o::text, t::text, s::text, is_plain, cardinality(t) "
                 "= ";

/* t: the tables of the projections, as catalog_ask finds them. */
static void put_tables(struct buf *b, const struct plan *p)
{
    buf_puts(b, "WITH RECURSIVE t(oid) AS (SELECT c.oid FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE false");
    sql_or_tables(b, p);
}

void shape_ask(struct pgconn *c, const struct plan *p)
{
    struct buf b = {0};

    put_tables(&b, p);
    buf_puts(&b, TAIL);
    buf_printf(&b, "%u FROM l, p", plan_n_tables(p));
    pgconn_add_sql(c, buf_text(&b));
    buf_close(&b);
}

/* Our own xid is among the versions once a table was emptied. */
#define OUR_XID "pg_current_xact_id_if_assigned()::xid"

static char *make_check(const struct pg_result *r)
{
    const char *all = pg_str(r, 0, ALL), *tables = pg_str(r, 0, TABLES),
               *schemas = pg_str(r, 0, SCHEMAS);
    long long n = pg_int(r, 0, N_VERSIONS);
    struct buf b = {0};

    buf_printf(&b,
               "SELECT " OUR_XID ", tidemill.must(count(*) = %lld AND "
               "count(*) FILTER (WHERE v = ANY ('%s'::xid[]) OR v = " OUR_XID
               ") = %lld, 'TM003') FROM (",
               n, pg_str(r, 0, VERSIONS), n);
    buf_printf(&b, VERSIONS_OF("'%s'::oid[]", "'%s'::oid[]", "'%s'::oid[]"),
               all, tables, tables, schemas, schemas);
    if (!pg_int(r, 0, IS_PLAIN)) {
        buf_printf(&b, MORE_OF("'%s'::oid[]", "'%s'::oid[]"), all, tables);
    }
    buf_puts(&b, ") AS s(v)");
    return buf_text(&b);
}

void shape_read(const struct pg_result *r, struct shape *out)
{
    bool is_distinct = pg_int(r, 0, IS_DISTINCT);

    out->check = make_check(r);
    out->write_check = pg_int(r, 0, IS_PLAIN) && is_distinct
                           ? NULL
                           : write_check_sql(pg_str(r, 0, ALL),
                                             pg_str(r, 0, OWN), is_distinct);
}

void shape_close(struct shape *s)
{
    free(s->check);
    free(s->write_check);
    *s = (struct shape){0};
}

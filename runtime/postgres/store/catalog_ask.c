/*
 * What is asked about the server and the tables, all in one flush. Names are
 * looked up in pg_class, never cast to regclass: a missing table must be an
 * answer, not an error that ends the pipeline.
 */
#include "postgres/store/catalog_ask.h"

#include <stdlib.h>
#include <string.h>

#include "postgres/sql/schema_version.h"
#include "postgres/sql/sql_text.h"
#include "postgres/sql/write_check.h"
#include "postgres/store/shape.h"

/* How many known columns a table of schema tidemill has; 0: there is no such
 * table. */
#define COLUMNS_OF                                                             \
    "(SELECT count(*) FROM pg_attribute a WHERE NOT a.attisdropped "           \
    "AND a.attrelid = "

static const char SERVER[] =
    "SELECT current_setting('server_version_num')::int4, "
    "current_setting('server_version'), "
    "pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', "
    "(SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n "
    "WHERE n.nspname = 'tidemill'), "
    "(SELECT has_function_privilege(f.oid, 'EXECUTE') FROM pg_proc f "
    "JOIN pg_namespace n ON n.oid = f.pronamespace "
    "WHERE n.nspname = 'tidemill' AND f.proname = 'must' "
    "AND f.proargtypes::text = '16 25'), "
    "current_user::text, " /* then the tables of enum server_field */
    COLUMNS_OF
    "lane AND a.attname IN ('pipeline', 'stream', 'topic', 'partition', "
    "'next_offset', 'epoch', 'owner', 'generation', 'group_id', 'anchor_ms', "
    "'anchor_hash', 'updated_at', 'halted', 'halted_at', 'halted_generation', "
    "'is_rewound')), "
    "has_table_privilege(lane, 'SELECT') AND "
    "has_table_privilege(lane, 'INSERT') AND "
    "has_table_privilege(lane, 'UPDATE'), " COLUMNS_OF
    "letter AND a.attname IN ('pipeline', 'stream', 'topic', 'partition', "
    "'offset', 'state', 'holds', 'key', 'value', 'headers', 'record_ms', "
    "'class', "
    "'sqlstate', 'message', 'script', 'generation', 'attempts', 'first_seen', "
    "'last_seen', 'retry_at', 'is_unpublished')), "
    "has_table_privilege(letter, 'SELECT') AND "
    "has_table_privilege(letter, 'INSERT') AND "
    "has_table_privilege(letter, 'UPDATE') AND "
    "has_table_privilege(letter, 'DELETE'), " COLUMNS_OF
    "audit AND a.attname IN ('id', 'at', 'who', 'action', 'pipeline', "
    "'topic', 'partition', 'detail')), "
    "(SELECT min(relname::text) FROM pg_class WHERE oid IN (lane, letter, "
    "audit) AND relpersistence <> 'p'), " SQL_SCHEMA_VERSION " "
    "FROM (SELECT max(c.oid) FILTER (WHERE c.relname = 'lane') AS lane, "
    "max(c.oid) FILTER (WHERE c.relname = 'dead_letter') AS letter, "
    "max(c.oid) FILTER (WHERE c.relname = 'audit') AS audit "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'tidemill' AND c.relkind IN ('r', 'p')) AS own";

/* $1 table, $2 schema or ''. An unqualified name means what search_path
 * makes of it, as in the statements that will be run. */
#define TABLE_IS                                                               \
    "c.relname = $1 AND CASE WHEN $2 = '' THEN pg_table_is_visible(c.oid) "    \
    "ELSE n.nspname = $2 END"
#define TABLE_FROM "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "

/* A partitioned table holds no rows itself. */
#define PART                                                                   \
    "LEFT JOIN LATERAL (WITH RECURSIVE w(oid) AS (SELECT c.oid UNION "         \
    "SELECT i.inhrelid FROM pg_inherits i JOIN w ON i.inhparent = w.oid) "     \
    "SELECT x.oid::regclass::text AS name, CASE WHEN x.relkind = 'f' "         \
    "THEN 'f' ELSE x.relpersistence::text END AS kind FROM w "                 \
    "JOIN pg_class x ON x.oid = w.oid WHERE x.relkind = 'f' "                  \
    "OR x.relkind = 'r' AND x.relpersistence <> 'p' "                          \
    "ORDER BY kind, x.oid LIMIT 1) AS part ON true "

/* The table, or one that the search path would find if the role might use its
 * schema. Whether it has rows is a query over a name that only this row vouches
 * for: query_to_xml runs it, and only when it may, and no foreign server has to
 * answer. -2: the number of xmin. */
static const char TABLE[] =
    "SELECT c.relkind, has_schema_privilege(n.oid, 'USAGE'), n.nspname, "
    "has_column_privilege(c.oid, (-2)::int2, 'SELECT'), "
    "has_table_privilege(c.oid, 'DELETE'), "
    "has_table_privilege(c.oid, 'TRUNCATE'), "
    "CASE WHEN c.relkind IN ('r', 'p') AND part.kind IS DISTINCT FROM 'f' "
    "AND has_schema_privilege(n.oid, 'USAGE') "
    "AND has_any_column_privilege(c.oid, 'SELECT') "
    "THEN query_to_xml(format('SELECT 1 AS x FROM %I.%I LIMIT 1', "
    "n.nspname, c.relname), false, true, '')::text LIKE '%<x>%' "
    "WHEN c.relkind IN ('r', 'p') THEN (SELECT sum(pg_relation_size(relid)) > "
    "0 "
    "FROM pg_partition_tree(c.oid)) "
    "ELSE false END, c.oid::int8, "
    "(SELECT min(f.conrelid::regclass::text) FROM pg_constraint f "
    "WHERE f.contype = 'f' AND f.confrelid = c.oid AND f.conrelid <> c.oid), "
    "part.name, part.kind, c.oid::regclass::text, "
    "(SELECT min(m.nspname) FROM pg_class s JOIN pg_namespace m "
    "ON m.oid = s.relnamespace WHERE $2 = '' AND s.relname = $1 "
    "AND s.oid <> c.oid AND m.nspname = ANY (current_schemas(true))) "
    "FROM " TABLE_FROM PART "WHERE " TABLE_IS " OR c.relname = $1 AND $2 = '' "
    "AND NOT has_schema_privilege(n.oid, 'USAGE') AND n.nspname IN (SELECT "
    "btrim(word, ' \"') FROM unnest(string_to_array(current_setting("
    "'search_path'), ',')) AS word) "
    "ORDER BY has_schema_privilege(n.oid, 'USAGE') DESC LIMIT 1";

/* Tables whose rows must be there before rows of this one. */
static const char PARENTS[] =
    "SELECT DISTINCT f.confrelid::int8 FROM " TABLE_FROM
    "JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f' "
    "AND NOT f.condeferred AND f.confrelid <> c.oid WHERE " TABLE_IS;

/* b: the type of attribute a, of a domain the one below all domains, and what
 * these say of NULLs and defaults. */
#define BASE_TYPE                                                              \
    "JOIN LATERAL (WITH RECURSIVE d AS (SELECT y.*, a.atttypmod AS mod, "      \
    "y.typnotnull AS is_given, y.typdefault IS NOT NULL AS has_default "       \
    "FROM pg_type y WHERE y.oid = a.atttypid UNION ALL "                       \
    "SELECT y.*, d.typtypmod, d.is_given OR y.typnotnull, "                    \
    "d.has_default OR y.typdefault IS NOT NULL FROM d JOIN pg_type y "         \
    "ON d.typtype = 'd' AND y.oid = d.typbasetype) "                           \
    "SELECT d.*, CASE WHEN d.typcategory = 'A' AND d.typelem <> 0 "            \
    "THEN d.typelem END AS element, bn.nspname FROM d JOIN pg_namespace bn "   \
    "ON bn.oid = d.typnamespace WHERE d.typtype <> 'd') AS b ON true "

/* 18, 19: "char" and name, which cut a text silently; 790: money, whose texts
 * depend on a setting of the server. What is read by textin() and written by
 * textout() is any text as it is: citext. 1033: aclitem, with names of roles. */
#define FORM_OF                                                                \
    "CASE WHEN coalesce(b.element, b.oid) IN (18, 19) OR b.element = 790 "     \
    "THEN 'l' WHEN coalesce(b.element, b.oid) = 1033 OR coalesce((SELECT "     \
    "e.typname FROM pg_type e WHERE e.oid = b.element), b.typname) "           \
    "LIKE 'reg%' AND b.typnamespace = 'pg_catalog'::regnamespace THEN 'n' "    \
    "WHEN b.oid = 790 THEN 'm' WHEN b.typtype = 'e' OR EXISTS "                \
    "(SELECT FROM pg_proc i, pg_proc o WHERE i.oid = b.typinput "              \
    "AND o.oid = b.typoutput AND i.prosrc = 'textin' "                         \
    "AND o.prosrc = 'textout' AND i.prolang = 12 AND o.prolang = 12) "         \
    "THEN 'e' ELSE 'o' END"

static const char COLUMNS[] =
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), "
    "a.attnotnull OR b.is_given, "
    "a.atthasdef OR a.attidentity <> '' OR b.has_default, "
    "CASE WHEN a.attgenerated <> '' THEN 'g' ELSE a.attidentity END, "
    "coalesce(co.collisdeterministic, true), "
    "has_column_privilege(c.oid, a.attnum, 'SELECT'), "
    "has_column_privilege(c.oid, a.attnum, 'INSERT'), "
    "has_column_privilege(c.oid, a.attnum, 'UPDATE'), "
    "(SELECT format('%I.%I', sn.nspname, s.relname) FROM pg_attrdef f "
    "JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass "
    "AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass "
    "JOIN pg_class s ON s.oid = d.refobjid "
    "JOIN pg_namespace sn ON sn.oid = s.relnamespace "
    "WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum "
    "AND CASE WHEN s.relkind = 'S' "
    "THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END LIMIT 1), "
    "format_type(b.oid, b.mod), b.oid <> a.atttypid, b.element IS NOT "
    "NULL, " FORM_OF ", format('%I.%I', b.nspname, b.typname), "
    "CASE WHEN b.oid <> a.atttypid THEN 'a domain over ' || "
    "format_type(b.oid, b.mod) WHEN b.typtype = 'e' THEN 'an enum' "
    "WHEN b.typtype = 'c' THEN 'a composite' ELSE '' END, "
    "b.oid <> a.atttypid AND (b.is_given OR b.has_default) "
    "FROM " TABLE_FROM "JOIN pg_attribute a ON a.attrelid = c.oid " BASE_TYPE
    "LEFT JOIN pg_collation co ON co.oid = a.attcollation "
    "WHERE a.attnum > 0 AND NOT a.attisdropped AND " TABLE_IS
    " ORDER BY a.attnum";

/* $3: the columns of the index that is needed; $4: all columns of the projection. */
static const char INDEXES[] =
    "SELECT x.relname, i.indimmediate AND EXISTS (SELECT 1 "
    "FROM pg_attribute a WHERE a.attrelid = c.oid "
    "AND a.attnum = ANY (i.indkey) AND a.attname = ANY ($4)), "
    "i.indisvalid AND i.indimmediate AND i.indpred IS NULL "
    "AND i.indexprs IS NULL AND "
    "(SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "
    "\"C\") FROM unnest(i.indkey[0:i.indnkeyatts - 1]) AS k "
    "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k) = "
    "(SELECT array_agg(k ORDER BY k COLLATE \"C\") FROM unnest($3) AS k) "
    "FROM " TABLE_FROM "JOIN pg_index i ON i.indrelid = c.oid "
    "JOIN pg_class x ON x.oid = i.indexrelid "
    "WHERE i.indisunique AND " TABLE_IS " ORDER BY x.relname";

/* What fires and acts in a session of this role. */
#define FIRES                                                                  \
    " IN ('A', CASE current_setting('session_replication_role') "              \
    "WHEN 'replica' THEN 'R' ELSE 'O' END) "

/* o: the table; w: it, its children and partitions. A trigger of a partitioned
 * table is told once, not for each partition. */
#define TABLES                                                                 \
    "WITH RECURSIVE o AS (SELECT c.oid, c.relkind FROM " TABLE_FROM            \
    "WHERE " TABLE_IS "), w(oid) AS (SELECT oid FROM o UNION "                 \
    "SELECT i.inhrelid FROM pg_inherits i JOIN w ON i.inhparent = w.oid) "

#define TRIGGERS                                                               \
    "SELECT CASE WHEN t.tgtype & 3 = 3 THEN 'b' ELSE 't' END AS kind, "        \
    "t.tgname::text AS name, w.oid::regclass::text AS place, "                 \
    "concat_ws(' or ', CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END, "         \
    "CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' END, "                          \
    "CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END) "                           \
    "FROM w JOIN pg_trigger t ON t.tgrelid = w.oid "                           \
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled" FIRES

#define POLICIES                                                               \
    "SELECT 'p', coalesce(string_agg(p.polname, ', ' ORDER BY p.polname), "    \
    "'none'), o.oid::regclass::text, '' FROM o LEFT JOIN pg_policy p "         \
    "ON p.polrelid = o.oid AND (p.polroles = '{0}' OR EXISTS (SELECT "         \
    "FROM unnest(p.polroles) AS r(oid) WHERE r.oid <> 0 "                      \
    "AND pg_has_role(r.oid, 'USAGE'))) "                                       \
    "WHERE row_security_active(o.oid) GROUP BY o.oid "

#define RULES                                                                  \
    "SELECT 'r', r.rulename::text, w.oid::regclass::text, "                    \
    "CASE r.ev_type WHEN '3' THEN 'INSERT' WHEN '2' THEN 'UPDATE' "            \
    "WHEN '4' THEN 'DELETE' ELSE '' END "                                      \
    "FROM w JOIN pg_rewrite r ON r.ev_class = w.oid WHERE r.ev_enabled" FIRES

#define CHILDREN                                                               \
    "SELECT 'c', i.inhrelid::regclass::text, o.oid::regclass::text, '' "       \
    "FROM o JOIN pg_inherits i ON i.inhparent = o.oid WHERE o.relkind = 'r' "

#define ACTIONS                                                                \
    "SELECT 'f', f.conname::text, f.confrelid::regclass::text, '' "            \
    "FROM o JOIN pg_constraint f ON f.conrelid = o.oid AND f.contype = 'f' "   \
    "AND (f.confdeltype IN ('c', 'n', 'd') "                                   \
    "OR f.confupdtype IN ('c', 'n', 'd')) "

static const char CAUSES[] = TABLES TRIGGERS
    "UNION ALL " POLICIES "UNION ALL " RULES "UNION ALL " CHILDREN
    "UNION ALL " ACTIONS "ORDER BY 1, 2, 3";

PARAMS_CELL(struct plan_column, name_of, cell_text(at->name))

/* See sql_identity. */
static void add_identity(struct params *ps, const struct plan_projection *p)
{
    bool is_once = p->n_key == 0 && p->once >= 0;

    params_each(ps, TYPE_TEXT, name_of, p->columns + (is_once ? p->once : 0),
                is_once ? 1 : p->n_key);
}

static struct params *table_params(struct pgconn *c, const struct plan_name *n)
{
    struct params *ps = pgconn_params(c);

    params_text(ps, n->table);
    params_text(ps, n->schema);
    return ps;
}

void catalog_ask_rows(struct pgconn *c, const struct plan *p)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        pgconn_add(c, TABLE, table_params(c, &p->projections[i].name));
    }
}

bool catalog_has_rows(const struct pg_result *answer)
{
    return pg_rows(answer) > 0 && pg_int(answer, 0, TABLE_HAS_ROWS);
}

static void ask_own(struct pgconn *c)
{
    static const struct plan_name names[N_OWN] = {
        [OWN_LANE] = {"tidemill", "lane"},
        [OWN_LETTER] = {"tidemill", "dead_letter"},
        [OWN_AUDIT] = {"tidemill", "audit"}};

    for (int i = 0; i < N_OWN; i++) {
        pgconn_add(c, CAUSES, table_params(c, &names[i]));
    }
}

static void ask_table(struct pgconn *c, const struct plan_projection *p)
{
    struct params *ps = table_params(c, &p->name);

    pgconn_add(c, TABLE, ps);
    pgconn_add(c, COLUMNS, ps);
    pgconn_add(c, PARENTS, ps);
    pgconn_add(c, CAUSES, ps);
    add_identity(ps, p);
    params_each(ps, TYPE_TEXT, name_of, p->columns, p->n_columns);
    pgconn_add(c, INDEXES, ps);
}

static void ask_side_effects(struct pgconn *c, const struct plan *p)
{
    struct arena a;

    arena_init(&a, 0);
    pgconn_add(c, write_check_causes_sql(p, &a), NULL);
    arena_close(&a);
}

void catalog_ask(struct pgconn *c, const struct plan *p)
{

    shape_ask(c, p);
    pgconn_add(c, SERVER, NULL);
    ask_own(c);
    for (uint32_t i = 0; i < p->n_projections; i++) {
        ask_table(c, &p->projections[i]);
    }
    if (plan_is_cached(p)) {
        ask_side_effects(c, p);
    }
}

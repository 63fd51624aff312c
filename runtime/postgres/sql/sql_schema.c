/*
 * The DDL that `tidemill schema` prints, and the quoting that all SQL shares.
 * Every text may be run again on a database that has it already.
 */
#include <string.h>

#include "postgres/sql/schema_version.h"
#include "postgres/sql/sql.h"
#include "postgres/sql/sql_text.h"

static const char SCHEMA[] =
    "CREATE SCHEMA IF NOT EXISTS tidemill;\n"
    "\n"
    "-- Ends here, and changes nothing, where a newer tidemill made the "
    "schema.\n"
    "DO $$\n"
    "DECLARE\n"
    "    found text;\n"
    "BEGIN\n"
    "    PERFORM pg_advisory_xact_lock(hashtext('tidemill.version'));\n"
    "    found := " SQL_SCHEMA_VERSION ";\n"
    "    IF found NOT IN (SELECT 'SELECT ' || known\n"
    "            FROM generate_series(1, " SCHEMA_VERSION_TEXT ") AS known) "
    "THEN\n"
    "        RAISE EXCEPTION USING ERRCODE = 'TM006', MESSAGE = format(\n"
    "            'schema tidemill is of version %s, and this tidemill knows '\n"
    "            'version %s: use the newer tidemill that made it, and leave "
    "'\n"
    "            'the schema as it is',\n"
    "            replace(found, 'SELECT ', ''), " SCHEMA_VERSION_TEXT ");\n"
    "    END IF;\n"
    "END\n"
    "$$;\n"
    "\n"
    "-- One row a Kafka partition: where to go on reading. It moves "
    "only\n"
    "-- in the transaction that writes the rows of the records below "
    "it.\n"
    "CREATE TABLE IF NOT EXISTS tidemill.lane (\n"
    "    pipeline text NOT NULL,\n"
    "    stream text NOT NULL DEFAULT 'main',\n"
    "    topic text NOT NULL,\n"
    "    partition int NOT NULL,\n"
    "    next_offset bigint NOT NULL,\n"
    "    epoch bigint NOT NULL DEFAULT 0,\n"
    "    owner text,\n"
    "    generation text,\n"
    "    group_id text,\n"
    "    anchor_ms bigint,\n"
    "    anchor_hash bigint,\n"
    "    updated_at timestamptz NOT NULL DEFAULT now(),\n"
    "    PRIMARY KEY (pipeline, stream, topic, partition)\n"
    ") WITH (fillfactor = 50);\n"
    "-- Why the lane waits for a person, since when, and which "
    "generation of\n"
    "-- the pipeline met it; NULL: it does not wait.\n"
    "ALTER TABLE tidemill.lane ADD COLUMN IF NOT EXISTS halted text;\n"
    "ALTER TABLE tidemill.lane ADD COLUMN IF NOT EXISTS halted_at "
    "timestamptz;\n"
    "ALTER TABLE tidemill.lane ADD COLUMN IF NOT EXISTS "
    "halted_generation text;\n"
    "-- The position may be below the group offset: the lane is new, "
    "or a\n"
    "-- person moved it back.\n"
    "ALTER TABLE tidemill.lane\n"
    "    ADD COLUMN IF NOT EXISTS is_rewound boolean NOT NULL DEFAULT "
    "true;\n"
    "\n"
    "-- Records set aside, each in the transaction that moved past it. "
    "'failed':\n"
    "-- it could not be applied; 'held': it waits behind a failed one "
    "of its key.\n"
    "-- holds: later records of its key are held.\n"
    "CREATE TABLE IF NOT EXISTS tidemill.dead_letter (\n"
    "    pipeline text NOT NULL,\n"
    "    stream text NOT NULL DEFAULT 'main',\n"
    "    topic text NOT NULL,\n"
    "    partition int NOT NULL,\n"
    "    \"offset\" bigint NOT NULL,\n"
    "    state text NOT NULL CHECK (state IN ('failed', 'held')),\n"
    "    holds boolean NOT NULL DEFAULT true,\n"
    "    key bytea,\n"
    "    value bytea,\n"
    "    headers jsonb,\n"
    "    record_ms bigint,\n"
    "    class text NOT NULL,\n"
    "    sqlstate text,\n"
    "    message text NOT NULL,\n"
    "    script text,\n"
    "    generation text NOT NULL,\n"
    "    attempts int NOT NULL DEFAULT 1,\n"
    "    first_seen timestamptz NOT NULL DEFAULT now(),\n"
    "    last_seen timestamptz NOT NULL DEFAULT now(),\n"
    "    retry_at timestamptz,\n"
    "    is_unpublished boolean NOT NULL DEFAULT false,\n"
    "    PRIMARY KEY (pipeline, stream, topic, partition, \"offset\")\n"
    ");\n"
    "ALTER TABLE tidemill.dead_letter\n"
    "    ADD COLUMN IF NOT EXISTS holds boolean NOT NULL DEFAULT true;\n"
    "CREATE INDEX IF NOT EXISTS dead_letter_retry\n"
    "    ON tidemill.dead_letter (pipeline) WHERE retry_at IS NOT "
    "NULL;\n"
    "CREATE INDEX IF NOT EXISTS dead_letter_unpublished\n"
    "    ON tidemill.dead_letter (pipeline) WHERE is_unpublished;\n"
    "\n"
    "-- What people did by hand: tidemill lane and tidemill dlq.\n"
    "CREATE TABLE IF NOT EXISTS tidemill.audit (\n"
    "    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
    "    at timestamptz NOT NULL DEFAULT now(),\n"
    "    who text NOT NULL,\n"
    "    action text NOT NULL,\n"
    "    pipeline text NOT NULL,\n"
    "    topic text,\n"
    "    partition int,\n"
    "    detail jsonb\n"
    ");\n"
    "\n"
    "-- Stops a pipelined transaction in the server: an UPDATE of no "
    "row\n"
    "-- is no error, and COMMIT is already on its way.\n"
    "CREATE OR REPLACE FUNCTION tidemill.must(ok boolean, code text)\n"
    "RETURNS void LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "    IF ok IS NOT TRUE THEN\n"
    "        RAISE EXCEPTION USING ERRCODE = code, MESSAGE = CASE code\n"
    "            WHEN 'TM001' THEN\n"
    "                'lane is owned by another or has moved'\n"
    "            WHEN 'TM002' THEN 'rows changed under the batch'\n"
    "            WHEN '22004' THEN\n"
    "                'the handler assigned no column of the row'\n"
    "            ELSE 'condition failed' END;\n"
    "    END IF;\n"
    "END\n"
    "$$;\n"
    "\n"
    "-- The version of this schema, which newer programs raise.\n"
    "CREATE OR REPLACE FUNCTION tidemill.version()\n"
    "RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT " SCHEMA_VERSION_TEXT "';\n";

const char *sql_schema(void)
{
    return SCHEMA;
}

struct sql_name sql_split(const char *table)
{
    const char *dot = strchr(table, '.');
    struct sql_name n = {.schema = "", .table = table};
    if (dot) {
        n.schema = table;
        n.schema_len = (int)(dot - table);
        n.table = dot + 1;
    }
    return n;
}

static void quote(struct buf *b, const char *p, size_t len)
{
    buf_put(b, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        buf_put(b, p + i, 1);
        if (p[i] == '"') {
            buf_put(b, "\"", 1);
        }
    }
    buf_put(b, "\"", 1);
}

void sql_quote(struct buf *b, const char *name)
{
    quote(b, name, strlen(name));
}

void sql_quote_schema(struct buf *b, const struct sql_name *n)
{
    quote(b, n->schema, (size_t)n->schema_len);
}

void sql_quote_table(struct buf *b, const char *table)
{
    struct sql_name n = sql_split(table);
    if (n.schema_len) {
        sql_quote_schema(b, &n);
        buf_puts(b, ".");
    }
    sql_quote(b, n.table);
}

void sql_put_table(struct buf *b, const char *schema, const char *table)
{
    if (!schema) {
        sql_quote_table(b, table);
        return;
    }
    sql_quote(b, schema);
    buf_puts(b, ".");
    sql_quote(b, sql_split(table).table);
}

void sql_type_word(struct buf *b, const struct coltype *t)
{
    static const char *const words[TYPE_KINDS] = {
        [TYPE_VARCHAR] = "varchar",
        [TYPE_TIME] = "time",
        [TYPE_TIMESTAMP] = "timestamp",
        [TYPE_TIMESTAMPTZ] = "timestamptz",
    };
    if (!words[t->kind]) {
        type_print(t, b);
        return;
    }
    buf_puts(b, words[t->kind]);
    if (t->kind == TYPE_VARCHAR && t->length > 0) {
        buf_printf(b, "(%d)", t->length);
    } else if (t->kind != TYPE_VARCHAR && t->precision < 6) {
        buf_printf(b, "(%d)", t->precision);
    }
}

/* Rows that are updated in place need room on their page (HOT); rows that are
 * only appended do not. */
static bool is_updated(const struct plan_projection *p)
{
    return p->kind != KIND_APPEND;
}

void sql_identity(struct buf *b, const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_key; i++) {
        buf_puts(b, i ? ", " : "");
        sql_quote(b, p->columns[i].name);
    }
    if (p->n_key == 0 && p->once >= 0) {
        sql_quote(b, p->columns[p->once].name);
    }
}

static void put_columns(struct buf *b, const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_columns; i++) {
        buf_puts(b, i ? ",\n    " : "    ");
        sql_quote(b, p->columns[i].name);
        buf_puts(b, " ");
        sql_type_word(b, &p->columns[i].type);
    }
    if (p->n_key > 0 || p->once >= 0) {
        buf_puts(b, ",\n    PRIMARY KEY (");
        sql_identity(b, p);
        buf_puts(b, ")");
    }
}

const char *sql_table(struct arena *a, const struct plan_projection *p)
{
    struct sql_name n = sql_split(p->table);
    struct buf b = {0};
    if (n.schema_len) {
        buf_puts(&b, "CREATE SCHEMA IF NOT EXISTS ");
        sql_quote_schema(&b, &n);
        buf_puts(&b, ";\n");
    }
    buf_printf(&b, "CREATE %sTABLE IF NOT EXISTS ",
               p->unlogged ? "UNLOGGED " : "");
    sql_quote_table(&b, p->table);
    buf_puts(&b, " (\n");
    put_columns(&b, p);
    buf_puts(&b, is_updated(p) ? "\n) WITH (fillfactor = 80);\n" : "\n);\n");
    const char *text = arena_dup(a, b.data, b.len);
    buf_close(&b);
    return text;
}

void sql_or_tables(struct buf *b, const struct plan *p)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        struct sql_name name = sql_split(p->projections[i].table);

        buf_printf(b, " OR (c.relname = '%s' AND ", name.table);
        if (name.schema_len > 0) {
            buf_printf(b, "n.nspname = '%.*s')", name.schema_len, name.schema);
        } else {
            buf_puts(b, "pg_table_is_visible(c.oid))");
        }
    }
}

/*
 * The DDL that `tidemill schema` prints, and the quoting that all SQL shares.
 * Every text may be run again on a database that has it already.
 */
#include <string.h>

#include "postgres/sql/schema_version.h"
#include "postgres/sql/sql.h"
#include "postgres/sql/sql_text.h"

static const char SCHEMA[] =
    "-- One at a time. Ends here, and changes nothing, where a newer tidemill\n"
    "-- made the schema.\n"
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
    "CREATE SCHEMA IF NOT EXISTS tidemill;\n"
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
    "-- it could not be applied; 'held': it waits for a failed one "
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

static void quote(struct buf *b, const char *p, char mark)
{
    buf_put(b, &mark, 1);
    for (; *p; p++) {
        buf_put(b, p, 1);
        if (*p == mark) {
            buf_put(b, p, 1);
        }
    }
    buf_put(b, &mark, 1);
}

void sql_quote(struct buf *b, const char *name)
{
    quote(b, name, '"');
}

/* Sessions have standard_conforming_strings on, so that a backslash is one. */
void sql_quote_text(struct buf *b, const char *text)
{
    quote(b, text, '\'');
}

void sql_quote_table(struct buf *b, const struct plan_name *n)
{
    if (n->schema[0]) {
        sql_quote(b, n->schema);
        buf_puts(b, ".");
    }
    sql_quote(b, n->table);
}

void sql_put_table(struct buf *b, const char *schema, const struct plan_name *n)
{
    sql_quote_table(b,
                    &(struct plan_name){.schema = schema ? schema : n->schema,
                                        .table = n->table});
}

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text; text++) {
        buf_puts(b, strchr("'\\", *text) ? "\\" : "");
        buf_put(b, text, 1);
    }
}

/* May it stand in Lua without brackets? As M.field in
 * scripts/tidemill/plan/names.lua, which has the same words. */
static bool is_plain_field(const char *name)
{
    static const char letters[] =
        "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static const char *const keywords[] = {
        "and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
        "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
        "repeat",   "return", "then", "true", "until",  "while"};

    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
        if (strcmp(name, keywords[i]) == 0) {
            return false;
        }
    }
    return name[0] && strspn(name, letters) == strlen(name) &&
           strspn(name, letters + sizeof(letters) - 11) == 0;
}

void sql_put_field(struct buf *b, const char *name)
{
    bool is_plain = is_plain_field(name);

    buf_puts(b, is_plain ? "" : "['");
    put_escaped(b, name);
    buf_puts(b, is_plain ? "" : "']");
}

/* See scripts/tidemill/plan/names.lua. */
static void put_part(struct buf *b, const char *name)
{
    size_t len = strlen(name);
    bool is_plain = len > 0 && !strpbrk(name, ".\"") && name[0] != ' ' &&
                    name[len - 1] != ' ';
    struct buf written = {0};

    if (is_plain) {
        buf_puts(&written, name);
    } else {
        sql_quote(&written, name);
    }
    put_escaped(b, buf_text(&written));
    buf_close(&written);
}

void sql_put_written(struct buf *b, const char *schema,
                     const struct plan_name *n)
{
    buf_puts(b, "table = '");
    put_part(b, schema);
    buf_puts(b, ".");
    put_part(b, n->table);
    buf_puts(b, "'");
}

void sql_type_word(struct buf *b, const struct coltype *t)
{
    static const char *const words[TYPE_KINDS] = {
        [TYPE_VARCHAR] = "varchar",
        [TYPE_CHAR] = "char",
        [TYPE_TIME] = "time",
        [TYPE_TIMESTAMP] = "timestamp",
        [TYPE_TIMESTAMPTZ] = "timestamptz",
    };
    if (!words[t->kind]) {
        type_print(t, b);
        return;
    }
    buf_puts(b, words[t->kind]);
    if (t->length > 0) {
        buf_printf(b, "(%d)", t->length);
    } else if (t->kind >= TYPE_DATE && t->precision < 6) {
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

/* To the table of another projection. */
static const char *more_columns(struct arena *a,
                                const struct plan_projection *p)
{
    struct buf b = {0};
    buf_puts(&b, "ALTER TABLE ");
    sql_quote_table(&b, &p->name);
    for (uint32_t i = p->n_key; i < p->n_columns; i++) {
        buf_puts(&b, i > p->n_key ? ",\n" : "\n");
        buf_puts(&b, "    ADD COLUMN IF NOT EXISTS ");
        sql_quote(&b, p->columns[i].name);
        buf_puts(&b, " ");
        sql_type_word(&b, &p->columns[i].type);
    }
    buf_puts(&b, ";\n");
    const char *text = arena_dup(a, b.data, b.len);
    buf_close(&b);
    return text;
}

const char *sql_table(struct arena *a, const struct plan_projection *p)
{
    if (p->part_of >= 0) {
        return more_columns(a, p);
    }
    struct buf b = {0};
    if (p->name.schema[0]) {
        buf_puts(&b, "CREATE SCHEMA IF NOT EXISTS ");
        sql_quote(&b, p->name.schema);
        buf_puts(&b, ";\n");
    }
    buf_printf(&b, "CREATE %sTABLE IF NOT EXISTS ",
               p->unlogged ? "UNLOGGED " : "");
    sql_quote_table(&b, &p->name);
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
        const struct plan_name *n = &p->projections[i].name;

        buf_puts(b, " OR (c.relname = ");
        sql_quote_text(b, n->table);
        buf_puts(b, " AND ");
        if (n->schema[0]) {
            buf_puts(b, "n.nspname = ");
            sql_quote_text(b, n->schema);
            buf_puts(b, ")");
        } else {
            buf_puts(b, "pg_table_is_visible(c.oid))");
        }
    }
}

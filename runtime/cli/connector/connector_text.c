/* See connector_text.h. Every property here is one of Debezium 3.3, of its
 * transforms or of Kafka Connect's converters; README says why each is there. */
#include "cli/connector/connector_text.h"

#include <string.h>

#include "admin/json.h"

#define STRING_CONVERTER "org.apache.kafka.connect.storage.StringConverter"
#define JSON_CONVERTER   "org.apache.kafka.connect.json.JsonConverter"

struct writing {
    struct buf *out;
    int indent;
    bool has_one; /* of the properties */
};

static void put(struct writing *w, const char *name, const char *value)
{
    struct buf text = {0};

    json_text(&text, value);
    buf_printf(w->out, "%s\n%*s\"%s\": %s", w->has_one ? "," : "",
               w->indent + 4, "", name, buf_text(&text));
    w->has_one = true;
    buf_close(&text);
}

static void put_or(struct writing *w, const char *name, const char *value,
                   const char *otherwise)
{
    put(w, name, value ? value : otherwise);
}

static void put_source(struct writing *w, const struct connector_source *s)
{
    put_or(w, "database.hostname", s->host, "${env:PGHOST}");
    put_or(w, "database.port", s->port, "5432");
    put_or(w, "database.user", s->user, "${env:PGUSER}");
    put_or(w, "database.password", s->password, "${env:PGPASSWORD}");
    put_or(w, "database.dbname", s->dbname, "${env:PGDATABASE}");
}

static void put_tables(struct writing *w, const struct need *n,
                       const struct connector_source *s)
{
    struct buf list = {0};

    for (uint32_t i = 0; i < n->n_tables; i++) {
        buf_printf(&list, "%s%s", i ? "," : "", n->tables[i]);
    }
    if (n->kind == NEED_OUTBOX) {
        buf_puts(&list, s->outbox_table);
    }
    put(w, "topic.prefix", n->kind == NEED_OUTBOX ? n->name : n->prefix);
    put(w, "table.include.list", buf_text(&list));
    buf_close(&list);
}

static void put_slot(struct writing *w, const struct need *n,
                     enum plan_start start)
{
    put(w, "plugin.name", "pgoutput");
    put(w, "slot.name", n->slot);
    put(w, "publication.name", n->slot);
    put(w, "publication.autocreate.mode", "filtered");
    put(w, "snapshot.mode", start == START_LATEST ? "no_data" : "initial");
}

static void put_json(struct writing *w, bool has_schemas)
{
    const char *is_on = has_schemas ? "true" : "false";

    put(w, "key.converter", JSON_CONVERTER);
    put(w, "key.converter.schemas.enable", is_on);
    put(w, "value.converter", JSON_CONVERTER);
    put(w, "value.converter.schemas.enable", is_on);
    /* Or a NULL of a column with a DEFAULT comes as that default. */
    put(w, "value.converter.replace.null.with.default", "false");
}

static void put_router(struct writing *w, const struct need *n)
{
    struct buf text = {0};

    put(w, "key.converter", STRING_CONVERTER);
    put(w, "value.converter", STRING_CONVERTER);
    put(w, "tombstones.on.delete", "false");
    put(w, "transforms", "outbox");
    put(w, "transforms.outbox.type",
        "io.debezium.transforms.outbox.EventRouter");
    buf_printf(&text, "type:header:%s", n->form.type_header);
    put(w, "transforms.outbox.table.fields.additional.placement",
        buf_text(&text));
    buf_clear(&text);
    buf_printf(&text, "%s${routedByValue}", n->prefix);
    put(w, "transforms.outbox.route.topic.replacement", buf_text(&text));
    put(w, "transforms.outbox.table.expand.json.payload", "false");
    buf_close(&text);
}

static const char *const decimal_modes[] = {
    [DECIMALS_UNSAID] = "precise",
    [DECIMALS_STRING] = "string",
    [DECIMALS_PRECISE] = "precise",
    [DECIMALS_DOUBLE] = "double",
};
EACH(decimal_modes, PLAN_DECIMALS);
static const char *const time_modes[] = {
    [TIMES_UNSAID] = "adaptive",
    [TIMES_SECONDS] = "adaptive", /* another transform makes them */
    [TIMES_MILLIS] = "connect",
    [TIMES_MICROS] = "microseconds",
    [TIMES_NANOS] = "nanoseconds",
    [TIMES_ADAPTIVE] = "adaptive",
    [TIMES_ADAPTIVE_TIME] = "adaptive_time_microseconds",
    [TIMES_ISO] = "isostring",
};
EACH(time_modes, PLAN_TIMES);

static void put_unwrap(struct writing *w, enum plan_flattened flattened)
{
    if (flattened == FLATTENED_UNSAID) {
        return;
    }
    put(w, "transforms", "unwrap");
    put(w, "transforms.unwrap.type",
        "io.debezium.transforms.ExtractNewRecordState");
    put(w, "transforms.unwrap.delete.tombstone.handling.mode",
        flattened == FLATTENED_TOMBSTONE ? "tombstone" : "rewrite");
    put(w, "transforms.unwrap.add.fields", "op,lsn,source.ts_ms");
    put(w, "transforms.unwrap.replace.null.with.default", "false");
}

/* Keyed by the aggregate, so that one partition holds all of its events. */
static void put_raw(struct writing *w, const struct need *n)
{
    const struct plan_topic *t = &n->form;
    struct buf keys = {0};

    put_json(w, n->has_schemas);
    if (t->outbox->time) {
        put(w, "time.precision.mode", time_modes[t->times]);
    }
    put(w, "tombstones.on.delete", "false");
    put(w, "skipped.operations", "u,d,t");
    for (uint32_t i = 0; i < n->n_tables; i++) {
        buf_printf(&keys, "%s%s:%s", i ? ";" : "", n->tables[i],
                   t->outbox->key);
    }
    put(w, "message.key.columns", buf_text(&keys));
    put_unwrap(w, t->flattened);
    buf_close(&keys);
}

static const char *placeholder_of(const struct plan_topic *t)
{
    return t->unavailable->forms[PLACEHOLDER_TEXT].p;
}

static void put_rows(struct writing *w, const struct need *n)
{
    put_json(w, n->has_schemas);
    put(w, "decimal.handling.mode", decimal_modes[n->form.decimals]);
    put(w, "time.precision.mode", time_modes[n->form.times]);
    if (n->form.binary == BINARY_HEX) {
        put(w, "binary.handling.mode", "hex");
    }
    if (n->form.unavailable) {
        put(w, "unavailable.value.placeholder", placeholder_of(&n->form));
    }
    put(w, "skipped.operations", "none");
    put_unwrap(w, n->form.flattened);
}

/* Where the broker makes no topics by itself, Connect does. */
static void put_topics(struct writing *w, const struct connector_source *s)
{
    struct buf n = {0};

    buf_printf(&n, "%d", s->n_partitions ? (int)s->n_partitions : -1);
    put(w, "topic.creation.default.partitions", buf_text(&n));
    put(w, "topic.creation.default.replication.factor", "-1");
    buf_close(&n);
}

void connector_text(const struct need *n, enum plan_start start,
                    const struct connector_source *s, int indent,
                    struct buf *out)
{
    struct writing w = {.out = out, .indent = indent};

    buf_printf(out, "%*s{\n%*s\"name\": \"%s\",\n%*s\"config\": {", indent, "",
               indent + 2, "", n->name, indent + 2, "");
    put(&w, "connector.class",
        "io.debezium.connector.postgresql.PostgresConnector");
    put(&w, "tasks.max", "1");
    put_source(&w, s);
    put_tables(&w, n, s);
    put_slot(&w, n, start);
    switch (n->kind) {
    case NEED_OUTBOX:
        put_router(&w, n);
        break;
    case NEED_RAW:
        put_raw(&w, n);
        break;
    case NEED_ROWS:
        put_rows(&w, n);
        break;
    }
    put_topics(&w, s);
    buf_printf(out, "\n%*s}\n%*s}", indent + 2, "", indent, "");
}

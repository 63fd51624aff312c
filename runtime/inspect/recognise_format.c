/* Whether a topic holds what the pipeline says; see recognise_part.h. */
#include <string.h>
#include <strings.h>

#include "decode/envelope/envelope.h"
#include "inspect/recognise_part.h"

#define ROUTER                                                                 \
    "transforms=outbox and transforms.outbox.type="                            \
    "io.debezium.transforms.outbox.EventRouter"
#define STRING_CONVERTER "org.apache.kafka.connect.storage.StringConverter"
#define JSON_CONVERTER   "org.apache.kafka.connect.json.JsonConverter"
#define REGISTRY                                                               \
    "the value is not JSON, but bytes of a schema registry (Avro, Protobuf "   \
    "or "                                                                      \
    "JSON Schema)"
#define AS_DEBEZIUM "write format = 'debezium' in kafka{}"
#define AS_OUTBOX   "write format = 'outbox' in kafka{}"
#define AS_JSON     "write format = 'json' in kafka{}"
#define OFF_THE_LIST                                                           \
    "take the topic off the list in kafka{}: none of its records is applied"
#define DOCUMENTS                                                              \
    "these are change events of MongoDB, whose rows are texts that hold JSON"
#define MONGO_ROUTER                                                           \
    "set transforms.outbox.type=io.debezium.connector.mongodb.transforms."     \
    "outbox.MongoEventRouter at the connector"
#define RAW_WORDS "outbox = { table = { … } }"

/* What a shape means where the pipeline says something else of its topic. */
struct rule {
    enum shape shape;
    bool is_warning;
    const char *what, *cure;
};

static const struct rule routed_rules[] = {
    {SHAPE_BINARY, false, REGISTRY,
     "set value.converter=" STRING_CONVERTER " at the connector"},
    {SHAPE_STRUCT, false,
     "the value is a row that was printed as text (Struct{…}), which nothing "
     "can read",
     "set " ROUTER " at the connector, and table.expand.json.payload=false: "
     "StringConverter wants the payload's own text"},
    {SHAPE_BROKEN, false, "the value is not JSON",
     "the outbox's payload must be JSON, written by "
     "value.converter=" STRING_CONVERTER},
    {SHAPE_OUTBOX_ENVELOPE, false,
     "these are rows of an outbox table as Debezium captured them, not the "
     "events that EventRouter makes of them",
     "set " ROUTER " at the connector, or write " RAW_WORDS " in kafka{}"},
    {SHAPE_OUTBOX_FLATTENED, false,
     "these are rows of an outbox table, flattened, not the events that "
     "EventRouter makes of them",
     "set " ROUTER " at the connector in place of ExtractNewRecordState, or "
     "write " RAW_WORDS " in kafka{}"},
    {SHAPE_ENVELOPE, false,
     "these are change events of a table, not events of an outbox",
     AS_DEBEZIUM},
    {SHAPE_DOCUMENT, false, DOCUMENTS, MONGO_ROUTER},
    {SHAPE_FLATTENED, false,
     "these are flattened rows of a table, not events of an outbox",
     AS_DEBEZIUM},
    {SHAPE_TRANSACTION, true, "this is Debezium's transaction topic",
     OFF_THE_LIST},
    {SHAPE_HEARTBEAT, true, "this is Debezium's heartbeat topic", OFF_THE_LIST},
    {SHAPE_TEXT, true,
     "the payload is a JSON text in quotes, which costs a second reading",
     "set value.converter=" STRING_CONVERTER " at the connector"},
    {SHAPE_TEXT_TWICE, true,
     "the payload is quoted twice: event.data is a text, not an object",
     "set value.converter=" STRING_CONVERTER " at the connector, and let the "
     "application write JSON, not a text that holds JSON, into the payload"},
    {SHAPE_PLACED, false,
     "the type of the event is a field beside the payload, not a header",
     "write :header: for :envelope: in "
     "transforms.outbox.table.fields.additional.placement of the connector"},
};

static const struct rule raw_rules[] = {
    {SHAPE_DOCUMENT, false, DOCUMENTS, MONGO_ROUTER},
    {SHAPE_BINARY, false, REGISTRY,
     "set key.converter and value.converter=" JSON_CONVERTER
     " at the connector"},
    {SHAPE_STRUCT, false,
     "the value is a row that was printed as text (Struct{…}), which nothing "
     "can read",
     "set value.converter=" JSON_CONVERTER " at the connector"},
    {SHAPE_BROKEN, false, "the value is not JSON",
     "set value.converter=" JSON_CONVERTER " at the connector"},
    {SHAPE_ROUTED, false,
     "these are events that EventRouter made, not rows of the outbox table",
     "remove outbox = { … } from kafka{}"},
    {SHAPE_TRANSACTION, true, "this is Debezium's transaction topic",
     OFF_THE_LIST},
    {SHAPE_HEARTBEAT, true, "this is Debezium's heartbeat topic", OFF_THE_LIST},
};

static const struct rule debezium_rules[] = {
    {SHAPE_BINARY, false, REGISTRY,
     "set key.converter and value.converter=" JSON_CONVERTER
     " at the connector"},
    {SHAPE_STRUCT, false,
     "the value is a row that was printed as text (Struct{…}), which nothing "
     "can read",
     "set key.converter and value.converter=" JSON_CONVERTER
     " at the connector: StringConverter is for an outbox behind EventRouter"},
    {SHAPE_BROKEN, false, "the value is not JSON",
     "set value.converter=" JSON_CONVERTER " at the connector"},
    {SHAPE_SCALAR, false, "the value is no object, so no change of a row",
     AS_JSON},
    {SHAPE_TEXT, false, "the value is a text, so no change of a row",
     "if it is EventRouter's payload, " AS_OUTBOX},
    {SHAPE_TEXT_TWICE, false, "the value is a text, so no change of a row",
     "if it is EventRouter's payload, " AS_OUTBOX},
    {SHAPE_ROUTED, false,
     "these are events that EventRouter made of an outbox, not change events "
     "of a table",
     AS_OUTBOX},
    {SHAPE_PLACED, false,
     "these are events that EventRouter made of an outbox, not change events "
     "of a table",
     AS_OUTBOX
     ", and :header: for :envelope: in "
     "transforms.outbox.table.fields.additional.placement of the connector"},
    {SHAPE_OUTBOX_ENVELOPE, true,
     "these are rows of an outbox table: a projection sees each as an insert "
     "of a row, not as an event",
     "to have its events write format = 'outbox' and " RAW_WORDS " in kafka{}"},
    {SHAPE_TRANSACTION, true, "this is Debezium's transaction topic",
     OFF_THE_LIST},
    {SHAPE_HEARTBEAT, true, "this is Debezium's heartbeat topic", OFF_THE_LIST},
    {SHAPE_OBJECT, false,
     "the value is not a Debezium envelope: it has no fields op and after",
     AS_JSON ", or, if it is a row behind ExtractNewRecordState, flattened = "
             "'rewrite' or 'tombstone', as its delete.tombstone.handling.mode "
             "says"},
};

static const struct rule json_rules[] = {
    {SHAPE_BINARY, false, REGISTRY, "let the producer write JSON"},
    {SHAPE_STRUCT, false,
     "the value is a row that was printed as text (Struct{…}), which nothing "
     "can read",
     "set value.converter=" JSON_CONVERTER " at the connector"},
    {SHAPE_BROKEN, false, "the value is not JSON",
     "let the producer write JSON"},
    {SHAPE_ENVELOPE, true,
     "these are change events of a table: event.data is the envelope, not the "
     "row",
     AS_DEBEZIUM},
    {SHAPE_OUTBOX_ENVELOPE, true,
     "these are rows of an outbox table as Debezium captured them",
     "write format = 'outbox' and " RAW_WORDS " in kafka{}"},
    {SHAPE_FLATTENED, true,
     "these are flattened rows of a table: deletes are "
     "not seen",
     AS_DEBEZIUM},
    {SHAPE_OUTBOX_FLATTENED, true,
     "these are rows of an outbox table, flattened",
     "write format = 'outbox' and " RAW_WORDS " in kafka{}"},
    {SHAPE_TRANSACTION, true, "this is Debezium's transaction topic",
     OFF_THE_LIST},
    {SHAPE_HEARTBEAT, true, "this is Debezium's heartbeat topic", OFF_THE_LIST},
};

#define APPLY(k, rules) apply(k, rules, sizeof(rules) / sizeof(*(rules)))

static void apply(struct looking *k, const struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct sight *s = first_of(k, rules[i].shape);

        if (s && rules[i].is_warning) {
            find_warning(k, s, rules[i].what, rules[i].cure);
        } else if (s) {
            find_problem(k, s, rules[i].what, rules[i].cure);
        }
    }
}

/* ---- an outbox behind EventRouter ---- */

static bool has_word_type(const char *name)
{
    size_t len = strlen(name);

    return len >= 4 && strcasecmp(name + len - 4, "type") == 0;
}

/* A header of this record that may well be the type, or NULL. */
static const char *other_type(const struct looking *k, const struct sight *s)
{
    struct record_header h;

    for (uint32_t i = 0; k->q->header_at(s->record->message, i, &h); i++) {
        if (has_word_type(h.name) && h.value) {
            return arena_dup(k->arena, h.name, strlen(h.name));
        }
    }
    return NULL;
}

static bool has_header(const struct looking *k, const struct sight *s,
                       const char *name)
{
    struct record_header h;

    for (uint32_t i = 0; k->q->header_at(s->record->message, i, &h); i++) {
        if (strcmp(h.name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void find_no_type(struct looking *k, const struct sight *s)
{
    const char *name = k->q->topic->type_header;
    const char *other = other_type(k, s);
    const char *what = arena_printf(
        k->arena,
        "the record has %s '%s'%s, so the type of its event is not known%s",
        has_header(k, s, name) ? "the header" : "no header", name,
        has_header(k, s, name) ? ", but its value is null" : "",
        other ? arena_printf(k->arena, ", but a header '%s'", other) : "");

    if (other) {
        find_problem(
            k, s, what,
            arena_printf(k->arena, "write type = '%s' in kafka{}", other));
        return;
    }
    if (has_header(k, s, name)) {
        find_problem(k, s, what,
                     "the type column of the outbox was NULL: let the service "
                     "write one; the record becomes a dead letter");
        return;
    }
    find_problem(
        k, s, what,
        arena_printf(k->arena,
                     "set transforms.outbox.table.fields.additional.placement="
                     "type:header:%s at the connector; records that are there "
                     "already stay without it: a new pipeline leaves them out "
                     "with start = 'latest' or a time",
                     name));
}

static bool is_event(enum shape shape)
{
    return shape == SHAPE_ROUTED || shape == SHAPE_OBJECT ||
           shape == SHAPE_TEXT || shape == SHAPE_TEXT_TWICE;
}

static void judge_events(struct looking *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!is_event(s->shape)) {
            continue;
        }
        if (!s->has_type) {
            find_no_type(k, s);
        }
        if (s->is_expanded || (s->has_schema && s->value->tag == TM_OBJECT)) {
            find_warning(
                k, s,
                "the payload was expanded, so its numbers went through "
                "doubles: "
                "5.10 became 5.1, and long ones lost digits",
                "set transforms.outbox.table.expand.json.payload=false and "
                "value.converter=" STRING_CONVERTER " at the connector");
        } else if (s->is_wrapped && s->shape != SHAPE_TEXT) {
            find_warning(k, s,
                         "the payload comes with a schema that says "
                         "nothing of it",
                         "set value.converter=" STRING_CONVERTER
                         " at the connector");
        }
    }
}

/* ---- rows of an outbox table ---- */

static void judge_outbox_column(struct looking *k, const struct sight *s,
                                const char *word, const char *column)
{
    struct names names = {0};

    if (!column || tokens_member(s->row, column)) {
        return;
    }
    names_add(k, &names, s->row);
    find_problem(
        k, s,
        arena_printf(k->arena, "the outbox row has no column '%s', but %s",
                     column, names_text(k, &names)),
        arena_printf(k->arena,
                     "name the column: outbox = { table = { %s = '…' } } in "
                     "kafka{}%s",
                     word, names_hint(k, &names, column)));
}

static bool is_keyed_by(const struct sight *s, const char *column)
{
    return s->key && s->key->tag == TM_OBJECT && tokens_member(s->key, column);
}

/* flattened = … promises rows, and whole envelopes come. */
static void judge_envelope(struct looking *k, enum shape shape)
{
    const struct sight *s = first_of(k, shape);

    if (s && k->q->topic->flattened != FLATTENED_UNSAID) {
        find_problem(k, s, "flattened is said, but these are whole envelopes",
                     "remove flattened = … from kafka{}, or set "
                     "transforms=unwrap and transforms.unwrap.type=io.debezium."
                     "transforms.ExtractNewRecordState at the connector");
    }
}

static void judge_raw_rows(struct looking *k)
{
    const struct plan_outbox *o = k->q->topic->outbox;

    judge_envelope(k, SHAPE_OUTBOX_ENVELOPE);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!is_row(s->shape) || !s->row || s->op == 'd') {
            continue;
        }
        judge_outbox_column(k, s, "id", o->id);
        judge_outbox_column(k, s, "key", o->key);
        judge_outbox_column(k, s, "type", o->type);
        judge_outbox_column(k, s, "payload", o->payload);
        judge_outbox_column(k, s, "time", o->time);
        if (k->q->n_partitions > 1 && !is_keyed_by(s, o->key)) {
            find_warning(
                k, s,
                "the records are not keyed by the aggregate, so its events are "
                "spread over the partitions and come in any order",
                arena_printf(k->arena,
                             "set message.key.columns=SCHEMA.TABLE:%s at the "
                             "connector",
                             o->key));
        }
    }
}

/* ---- rows of tables ---- */

static void judge_flattened(struct looking *k, const struct sight *s)
{
    bool has_deleted = tokens_member(s->row, "__deleted") != NULL;

    switch (k->q->topic->flattened) {
    case FLATTENED_UNSAID:
        if (!has_deleted) {
            find_problem(
                k, s,
                "the rows are flattened and carry no __deleted, so "
                "deletes cannot be told",
                "set transforms.unwrap.delete.tombstone.handling.mode="
                "rewrite at the connector, or, if deletes come as "
                "tombstones, write flattened = 'tombstone' in kafka{}");
        }
        break;
    case FLATTENED_REWRITE:
        if (!has_deleted) {
            find_warning(k, s,
                         "flattened = 'rewrite', but the rows carry no "
                         "__deleted, so deletes cannot be told",
                         "write flattened = 'tombstone' in kafka{}, or set "
                         "transforms.unwrap.delete.tombstone.handling.mode="
                         "rewrite at the connector");
        }
        break;
    case FLATTENED_TOMBSTONE:
        if (has_deleted) {
            find_warning(k, s,
                         "flattened = 'tombstone', but the rows carry "
                         "__deleted: a delete may come twice",
                         "write flattened = 'rewrite' in kafka{}");
        }
    }
}

/* A lane halts at it, unless no projection minds. */
static void judge_truncate(struct looking *k, const struct sight *s)
{
    bool is_minded = false, empties = false;

    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        const struct plan_projection *p = k->q->projections[i];

        is_minded |= !plan_ignores(p, "t");
        empties |= !plan_ignores(p, "t") && p->empties;
    }
    if (k->q->topic->truncate == TRUNCATE_HALT && is_minded) {
        find_problem(k, s,
                     "the source table was truncated: a lane that reads this "
                     "record halts",
                     "write truncate = 'apply' in kafka{}; or, when the table "
                     "was emptied by hand, pass it with 'tidemill lane skip'");
    } else if (empties && k->q->n_partitions > 1) {
        find_halt(k, s,
                  "the source table was truncated, and nobody knows which "
                  "records of the other partitions came before: a lane "
                  "that reads this record halts",
                  "give a topic whose truncates are applied one partition");
    }
}

/* An envelope that is no change of a row: a lane halts at it. */
static void judge_promise(struct looking *k, const struct sight *s)
{
    struct debezium_lack lack;
    const char *what, *cure;

    if ((s->shape != SHAPE_ENVELOPE && s->shape != SHAPE_DOCUMENT) || !s->op ||
        !strchr("crud", s->op) ||
        !debezium_lacks(s->op, tokens_member(s->value, "before"),
                        tokens_member(s->value, "after"), &lack)) {
        return;
    }
    debezium_lack_text(k->arena, s->op, &lack, s->record->value,
                       s->record->value_len, &what, &cure);
    find_problem(k, s, what, cure);
}

static void judge_rows(struct looking *k)
{
    judge_envelope(k, SHAPE_ENVELOPE);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        judge_promise(k, s);
        if (s->op == 't') {
            judge_truncate(k, s);
        }
        if (s->shape == SHAPE_FLATTENED) {
            judge_flattened(k, s);
        }
    }
}

/* ---- any JSON ---- */

static void judge_json(struct looking *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (s->is_wrapped && s->has_schema) {
            find_warning(k, s,
                         "the value is a schema and a payload: the event's "
                         "fields are in event.data.payload",
                         "set value.converter.schemas.enable=false at the "
                         "connector");
        }
        if (s->shape == SHAPE_ROUTED && s->record->message &&
            other_type(k, s)) {
            find_warning(k, s,
                         "these look like events that EventRouter made: the "
                         "type is in a header, and event.type is not it",
                         AS_OUTBOX);
        }
    }
}

void judge_format(struct looking *k)
{
    const struct plan_topic *t = k->q->topic;

    if (t->format == FORMAT_OUTBOX && t->outbox) {
        APPLY(k, raw_rules);
        judge_raw_rows(k);
    } else if (t->format == FORMAT_OUTBOX) {
        APPLY(k, routed_rules);
        judge_events(k);
    } else if (t->format == FORMAT_DEBEZIUM) {
        APPLY(k, debezium_rules);
        judge_rows(k);
    } else {
        APPLY(k, json_rules);
        judge_json(k);
    }
}

/* One record, looked at; see recognise_part.h. */
#include <string.h>

#include "decode/envelope/envelope.h"
#include "inspect/recognise_part.h"

static const struct tm_cell *read(struct looking *k, const char *p, size_t len)
{
    const struct tm_cell *tokens;
    uint32_t n;

    return tokens_read(k->index, k->arena, p, len, &tokens, &n) ? tokens : NULL;
}

static bool starts_with(const struct record *r, const char *word)
{
    size_t len = strlen(word);

    return r->value_len >= len && memcmp(r->value, word, len) == 0;
}

static bool has(const struct tm_cell *object, const char *name)
{
    return tokens_member(object, name) != NULL;
}

/* A text or a decimal that Double.toString() printed: 1.2E19. PostgreSQL's own
 * JSON never has a capital E. */
static bool has_java_double(const struct record *r)
{
    bool in_text = false;

    for (uint32_t i = 1; i + 1 < r->value_len; i++) {
        char c = r->value[i];

        if (in_text && c == '\\') {
            i++;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text && c == 'E' && r->value[i - 1] >= '0' &&
                   r->value[i - 1] <= '9') {
            return true;
        }
    }
    return false;
}

/* ---- the parts of a document ---- */

/* {"schema":...,"payload":...} and nothing else. */
static const struct tm_cell *unwrap(const struct tm_cell *value,
                                    const struct tm_cell **schema)
{
    const struct tm_cell *payload;

    if (value->tag != TM_OBJECT || value->len != 2 ||
        !(*schema = tokens_member(value, "schema")) ||
        !(payload = tokens_member(value, "payload")) ||
        ((*schema)->tag != TM_OBJECT && (*schema)->tag != TM_NULL)) {
        *schema = NULL;
        return value;
    }
    return payload;
}

static bool is_outbox_row(const struct tm_cell *row)
{
    return row && has(row, "payload") &&
           (has(row, "aggregateid") || has(row, "aggregate_id") ||
            has(row, "aggregatetype") || has(row, "aggregate_type"));
}

/* Fields that stand beside the columns of a flattened row, and in no envelope. */
static bool is_marked(const struct tm_cell *v)
{
    return has(v, "__deleted") || has(v, "__op");
}

static bool is_envelope(const struct tm_cell *v)
{
    return has(v, "op") && (has(v, "after") || has(v, "before")) &&
           has(v, "source") && !is_marked(v);
}

static char letter(const struct tm_cell *c)
{
    return c && c->tag == TM_TEXT && c->len == 1 ? c->p[0] : '\0';
}

static void look_at_envelope(struct sight *s)
{
    const struct tm_cell *after = tokens_member(s->value, "after");
    const struct tm_cell *before = tokens_member(s->value, "before");

    s->op = letter(tokens_member(s->value, "op"));
    if (after && after->tag == TM_OBJECT) {
        s->row = after;
    } else if (before && before->tag == TM_OBJECT) {
        s->row = before;
    } else if (debezium_is_document(after) || debezium_is_document(before)) {
        s->shape = SHAPE_DOCUMENT;
        return;
    }
    s->shape = is_outbox_row(s->row) ? SHAPE_OUTBOX_ENVELOPE : SHAPE_ENVELOPE;
}

/* JsonConverter names the schema of a row PREFIX.SCHEMA.TABLE.Value. */
static bool is_value_schema(const struct tm_cell *schema)
{
    static const char end[] = ".Value";
    const struct tm_cell *name = schema ? tokens_member(schema, "name") : NULL;
    size_t len = sizeof(end) - 1;

    return name && name->tag == TM_TEXT && name->len > len &&
           memcmp(name->p + name->len - len, end, len) == 0;
}

static bool has_marks(const struct tm_cell *v)
{
    return is_marked(v) || has(v, "__lsn") || has(v, "__table") ||
           has(v, "__source_ts_ms");
}

static bool has_header(const struct looking *k, const struct record *r,
                       const char *name)
{
    struct record_header h;

    return k->q->header(r->message, name, &h) && h.value;
}

static void look_at_flat(struct sight *s)
{
    s->row = s->value;
    s->op = letter(tokens_member(s->value, "__op"));
    s->shape = is_outbox_row(s->row) ? SHAPE_OUTBOX_FLATTENED : SHAPE_FLATTENED;
}

/* A row of a table, as a run takes it: what it is, is not guessed. */
static bool is_taken_row(const struct looking *k, const struct sight *s)
{
    const struct plan_topic *t = k->q->topic;

    return s->taken->state == TM_EVENT_OK &&
           (t->format == FORMAT_DEBEZIUM || t->outbox);
}

static void look_at_row(struct sight *s)
{
    if (s->taken->is_flat) {
        look_at_flat(s);
    } else {
        look_at_envelope(s);
    }
    s->op = s->taken->op ? (char)s->taken->op : s->op;
}

/* An object that is no envelope. */
static enum shape shape_of_object(const struct looking *k, struct sight *s,
                                  const struct tm_cell *schema)
{
    const struct tm_cell *v = s->value;
    bool is_routed = s->has_type || has_header(k, s->record, "id");

    if (has(v, "status") && has(v, "event_count") && has(v, "id")) {
        return SHAPE_TRANSACTION;
    }
    if (v->len == 1 && has(v, "ts_ms")) {
        return SHAPE_HEARTBEAT;
    }
    if (is_routed && has(v, "payload") &&
        (has(v, k->q->topic->type_header ? k->q->topic->type_header : "type") ||
         has(v, "type") || has(v, "eventType"))) {
        return SHAPE_PLACED;
    }
    if (has_marks(v) || is_value_schema(schema) ||
        (!is_routed &&
         has_header(k, s->record, "__debezium.context.connectorName"))) {
        look_at_flat(s);
        return s->shape;
    }
    return is_routed ? SHAPE_ROUTED : SHAPE_OBJECT;
}

static enum shape shape_of_text(struct looking *k, const struct tm_cell *text)
{
    const struct tm_cell *inner = read(k, text->p, text->len);

    return inner && inner->tag == TM_TEXT ? SHAPE_TEXT_TWICE : SHAPE_TEXT;
}

static bool is_routed(const struct looking *k)
{
    return k->q->topic->format == FORMAT_OUTBOX && !k->q->topic->outbox;
}

/* An event without a payload is told from a tombstone by its type. */
static enum shape shape_of_nothing(const struct sight *s)
{
    return s->has_type        ? SHAPE_ROUTED
           : s->record->value ? SHAPE_OBJECT
                              : SHAPE_NULL;
}

static void look_at_json(struct looking *k, struct sight *s,
                         const struct tm_cell *whole)
{
    const struct tm_cell *schema = NULL;

    s->value = unwrap(whole, &schema);
    s->is_wrapped = s->value != whole;
    s->has_schema = schema && schema->tag == TM_OBJECT;
    s->is_expanded = has_java_double(s->record);
    switch (s->value->tag) {
    case TM_OBJECT:
        if (is_taken_row(k, s)) {
            look_at_row(s);
        } else if (is_envelope(s->value)) {
            look_at_envelope(s);
        } else {
            s->shape = shape_of_object(k, s, schema);
        }
        break;
    case TM_TEXT:
        s->shape = shape_of_text(k, s->value);
        break;
    case TM_ARRAY:
        s->shape = s->has_type ? SHAPE_ROUTED : SHAPE_OBJECT;
        break;
    case TM_NULL: /* JsonConverter may write a tombstone out */
        s->shape = k->q->topic->format == FORMAT_JSON ? SHAPE_SCALAR
                   : is_routed(k)                     ? shape_of_nothing(s)
                                                      : SHAPE_NULL;
        break;
    default:
        s->shape = SHAPE_SCALAR;
    }
}

static void look_at_value(struct looking *k, struct sight *s)
{
    const struct record *r = s->record;
    const struct tm_cell *whole;

    if (!r->value) {
        s->shape = is_routed(k) ? shape_of_nothing(s) : SHAPE_NULL;
    } else if (r->value_len > 0 && r->value[0] == '\0') {
        s->shape = SHAPE_BINARY;
    } else if (starts_with(r, "Struct{")) {
        s->shape = SHAPE_STRUCT;
    } else if (!(whole = read(k, r->value, r->value_len))) {
        s->shape = SHAPE_BROKEN;
    } else {
        look_at_json(k, s, whole);
    }
}

void sight_of(struct looking *k, uint32_t i, struct sight *s)
{
    const struct record *r = &k->q->records[i];
    const struct tm_cell *schema;
    const struct tm_cell *key = r->key ? read(k, r->key, r->key_len) : NULL;
    const char *type = k->q->topic->type_header;

    memset(s, 0, sizeof(*s));
    s->record = r;
    s->taken = &k->q->taken[i];
    s->key = key ? unwrap(key, &schema) : NULL;
    s->has_type = type && has_header(k, r, type);
    look_at_value(k, s);
}

bool sight_is_applied(const struct sight *s)
{
    return s->op != 't' && (is_row(s->shape) || s->shape == SHAPE_ROUTED ||
                            s->shape == SHAPE_OBJECT || s->shape == SHAPE_TEXT);
}

/* Rows that were not deleted: a deleted one has zeros where it has nothing. */
bool sight_is_full(const struct sight *s)
{
    const struct tm_cell *deleted;

    if (s->is_passed || !is_row(s->shape) || !s->row || s->op == 'd') {
        return false;
    }
    deleted = tokens_member(s->row, "__deleted");
    return !deleted || !reader_is_deleted(deleted);
}

const struct tm_cell *sight_unsaid(const struct sight *s, const char *name)
{
    return sight_is_full(s) && !s->has_schema ? tokens_member(s->row, name)
                                              : NULL;
}

/*
 * Records of Debezium's EventRouter: the type is in a header; the value is
 * the payload, as an object, as a text that holds JSON (the outbox column was
 * text and the converter quoted it), or either of them behind a schema. A
 * payload that is NULL is an event all the same: EventRouter writes its headers
 * then too, which no tombstone has.
 */
#include "decode/envelope/envelope.h"

#include "decode/json/walk_node.h"

static bool read_type(struct reader *r, const struct record *rec)
{
    const char *name = r->topic->type_header;
    struct record_header h;

    bool is_there = r->header(rec->message, name, &h);

    if (is_there && !h.value && rec->value) {
        return reader_fail(
            r,
            "the header '%s' of the record is null, so the type of its event "
            "is not known: the column that "
            "table.fields.additional.placement=type:header:%s of the "
            "connector's EventRouter names was NULL: let the service write a "
            "type, or name another header with type = '...' in kafka{}",
            name, name);
    }
    if (!is_there || !h.value) {
        return !rec->value
                   ? reader_skip(r)
                   : reader_fail(
                         r,
                         "the record has no header '%s', so the type of its "
                         "event is not "
                         "known: set "
                         "table.fields.additional.placement=type:header:%s at "
                         "the connector's EventRouter, or name the header that "
                         "holds the "
                         "type with type = '...' in kafka{}",
                         name, name);
    }
    return reader_type(r, h.value, h.len);
}

static bool read_payload(struct reader *r, struct schema *schema)
{
    struct walk *w = &r->walk;
    struct tm_cell text;

    if (walk_char(w) == '"') {
        return walk_value(w, &text) && connect_close(r)
                   ? reader_document(r, &text)
                   : reader_bad_json(r, "value");
    }
    return (walk_node(w, TM_NODE_DATA, schema ? &schema->top : NULL) &&
            connect_close(r)) ||
           reader_bad_json(r, "value");
}

bool outbox_read(struct reader *r, const struct record *rec)
{
    struct schema *schema;

    r->facts.time_ms = rec->time_ms;
    if (!read_type(r, rec)) {
        return false;
    }
    if (r->facts.state == TM_EVENT_SKIPPED) {
        return true;
    }
    if (!rec->value) {
        walk_cell(&r->walk, TM_NODE_DATA)->tag = TM_NULL;
        return true;
    }
    if (!connect_open(r, r->values, rec->value, rec->value_len, &schema)) {
        return reader_bad_json(r, "value");
    }
    r->facts.flags = schema ? EVENT_HAS_SCHEMA : 0;
    return read_payload(r, schema);
}

/* Records whose value is the event's data, any JSON value; a field of it may
 * name the type. */
#include "decode/envelope/envelope.h"

#include "decode/json/walk_node.h"

static bool read_type(struct reader *r)
{
    const struct tm_cell *c = walk_cell(&r->walk, r->type_node);

    if (!c || c->tag == TM_MISSING || c->tag == TM_NULL) {
        return true;
    }
    if (c->tag != TM_TEXT) {
        return reader_fail(r,
                           "the field %s, which names the event's type, "
                           "is not a text",
                           r->topic->type_path);
    }
    return reader_type(r, c->p, c->len);
}

/* Of a compacted topic: the key's row is gone. */
static bool take_tombstone(struct reader *r)
{
    if (!r->topic->is_mirrored) {
        return reader_skip(r);
    }
    r->facts.op = 'd';
    r->facts.flags = EVENT_TOMBSTONE;
    return reader_type(r, "d", 1);
}

bool plain_read(struct reader *r, const struct record *rec)
{
    struct walk *w = &r->walk;

    r->facts.time_ms = rec->time_ms;
    r->start = rec->value;
    if (!rec->value) {
        return take_tombstone(r);
    }
    if (!walk_open(w, rec->value, rec->value_len) ||
        !walk_node(w, TM_NODE_DATA, NULL) || !walk_end(w)) {
        return reader_bad_json(r, "value");
    }
    if (r->topic->is_mirrored && walk_cell(w, TM_NODE_DATA)->tag == TM_NULL) {
        r->facts.op = 'd'; /* the same, of who cannot write nothing */
    }
    return r->type_node < 0 || read_type(r);
}

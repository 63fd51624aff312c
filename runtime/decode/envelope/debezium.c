/*
 * Debezium's change events: {"before":...,"after":...,"source":...,"op":...},
 * bare or behind a schema. `data` is after, or before when the row was
 * deleted; since op comes late in the envelope, it is read as if it were
 * after, and read again from before on the few deletes.
 */
#include "decode/envelope/envelope.h"

#include <string.h>

#include "decode/json/walk_node.h"

/* What the members of one envelope were. */
struct change {
    struct schema_row *before_row, *after_row; /* NULL: no schema */
    uint32_t before; /* structural of its value; 0: there is none */
    uint32_t first;  /* of the envelope */
    bool is_flat;    /* it is no envelope: it has a field __deleted */
    char source;     /* what its source begins with; 0: there is none */
    struct tm_cell op;
};

static bool has_wanted(const struct walk *w, int root)
{
    return w->tree->nodes[root].n_children > 0;
}

/* Fields of data and of after are the same value: read for whom it may
 * concern. */
static inline bool read_row(struct reader *r, int as, struct schema_row *row)
{
    struct walk *w = &r->walk;
    uint32_t first = w->i;

    if (has_wanted(w, TM_NODE_DATA)) {
        if (!walk_node(w, TM_NODE_DATA, row)) {
            return false;
        }
        if (!has_wanted(w, as)) {
            *walk_cell(w, as) = *walk_cell(w, TM_NODE_DATA);
            return true;
        }
        w->i = first;
    }
    if (!walk_node(w, as, row)) {
        return false;
    }
    *walk_cell(w, TM_NODE_DATA) = *walk_cell(w, as);
    return true;
}

bool reader_row(struct reader *r, int as, struct schema_row *row)
{
    return read_row(r, as, row);
}

static bool is_like_mysql(const struct tm_cell *connector)
{
    static const char *const names[] = {"mysql", "mariadb", "vitess"};
    bool is = false;

    for (size_t i = 0; connector->tag == TM_TEXT && i < 3; i++) {
        is |= connector->len == strlen(names[i]) &&
              memcmp(connector->p, names[i], connector->len) == 0;
    }
    return is;
}

static bool read_connector(struct reader *r)
{
    struct tm_cell name;

    if (!walk_value(&r->walk, &name)) {
        return false;
    }
    if (is_like_mysql(&name)) {
        r->facts.flags |= EVENT_OF_MYSQL;
    }
    return true;
}

/* The database's own time of the change, in front of which the connector's name
 * stands. */
static bool read_time(struct reader *r)
{
    struct walk *w = &r->walk;
    struct walk_key k;
    struct tm_cell ms;

    if (walk_char(w) != '{') {
        return walk_skip(w);
    }
    enum walk_step s = walk_first(w, &k);
    for (; s == WALK_MEMBER; s = walk_next(w, &k)) {
        if (walk_key_is(&k, "ts_ms")) {
            if (!walk_value(w, &ms)) {
                return false;
            }
            r->facts.time_ms = ms.tag == TM_INT ? ms.i : r->facts.time_ms;
            return walk_leave(w);
        }
        if (!(walk_key_is(&k, "connector") ? read_connector(r)
                                           : walk_skip(w))) {
            return false;
        }
    }
    return s == WALK_END;
}

static inline bool read_source(struct reader *r)
{
    struct walk *w = &r->walk;
    uint32_t first = w->i;

    if (has_wanted(w, TM_NODE_SOURCE) || walk_cell(w, TM_NODE_SOURCE)) {
        if (!walk_node(w, TM_NODE_SOURCE, &r->source_times)) {
            return false;
        }
        w->i = first;
    }
    return read_time(r);
}

bool reader_source(struct reader *r)
{
    return read_source(r);
}

static bool read_member(struct reader *r, struct change *c,
                        const struct walk_key *k)
{
    struct walk *w = &r->walk;

    if (walk_key_is(k, "after")) {
        return read_row(r, TM_NODE_AFTER, c->after_row);
    }
    if (walk_key_is(k, "before")) {
        c->before = w->i;
        return walk_node(w, TM_NODE_BEFORE, c->before_row);
    }
    if (walk_key_is(k, "source")) {
        c->source = walk_char(w);
        return read_source(r);
    }
    if (walk_key_is(k, "op")) {
        return walk_value(w, &c->op);
    }
    c->is_flat |= walk_key_is(k, "__deleted");
    return walk_skip(w);
}

static bool read_members(struct reader *r, struct change *c)
{
    struct walk_key k;
    enum walk_step s = walk_first(&r->walk, &k);

    for (; s == WALK_MEMBER; s = walk_next(&r->walk, &k)) {
        if (!read_member(r, c, &k)) {
            return false;
        }
    }
    return s == WALK_END;
}

/* A deleted row: data is what it was before. */
static bool read_deleted(struct reader *r, const struct change *c)
{
    struct walk *w = &r->walk;

    if (!has_wanted(w, TM_NODE_DATA)) {
        *walk_cell(w, TM_NODE_DATA) = *walk_cell(w, TM_NODE_BEFORE);
        return true;
    }
    if (c->before == 0) {
        walk_clear(w, TM_NODE_DATA);
        walk_cell(w, TM_NODE_DATA)->tag = TM_MISSING;
        return true;
    }
    w->i = c->before;
    return walk_node(w, TM_NODE_DATA, c->before_row) ||
           reader_bad_json(r, "value");
}

char reader_letter(struct reader *r, const struct tm_cell *c)
{
    char op = c->tag == TM_TEXT && c->len == 1 ? c->p[0] : '\0';

    if (op == '\0' || !strchr("crudtm", op)) {
        reader_fail(r, "the op of this Debezium envelope is not one "
                       "of c, u, d, r, t and m");
        return '\0';
    }
    return op;
}

static inline bool read_op(struct reader *r, const struct tm_cell *c)
{
    char op = reader_letter(r, c);

    if (op == '\0') {
        return false;
    }
    if (op == 'm') {
        return reader_skip(r);
    }
    r->facts.op = (uint8_t)op;
    if (r->op_types[(uint8_t)op] == 0) {
        r->op_types[(uint8_t)op] = (uint16_t)types_number(&r->types, &op, 1);
    }
    r->facts.type = r->op_types[(uint8_t)op];
    return true;
}

bool reader_op(struct reader *r, const struct tm_cell *op)
{
    return read_op(r, op);
}

/* ---- envelopes that lack what their op promises ---- */

static bool source_lacks(struct reader *r)
{
    return reader_misfit(r, "the value is not a Debezium envelope: its field "
                            "source is no object. For other JSON say format = "
                            "'json' in kafka{}");
}

/* A delete may tell nothing but the record's key (REPLICA IDENTITY NOTHING, or
 * a transform took `before` out): what needs more than that will say so. */
static inline bool keeps_promise(struct reader *r, const struct change *c)
{
    const struct tm_cell *after = walk_cell(&r->walk, TM_NODE_AFTER);
    const struct tm_cell *before = walk_cell(&r->walk, TM_NODE_BEFORE);

    if ((after->tag != TM_OBJECT ||
         (before->tag > TM_NULL && before->tag != TM_OBJECT)) &&
        !debezium_has_row(r, (char)r->facts.op, before, after)) {
        return false;
    }
    return c->source == '{' || c->source == 'n' || c->source == '\0' ||
           source_lacks(r);
}

/* ---- values that are no change of a row ---- */

static bool foreign(struct reader *r, const struct change *c)
{
    struct buf names = {0};

    if (debezium_is_own(&r->walk, c->first, &names)) {
        reader_skip(r);
    } else {
        reader_misfit(
            r, arena_printf(
                   r->walk.arena,
                   "the value is not a Debezium envelope: it has no field op, "
                   "but %s. For rows after ExtractNewRecordState say "
                   "flattened = 'rewrite' or 'tombstone' in kafka{}, as the "
                   "connector's transforms.unwrap.delete.tombstone.handling."
                   "mode does; for other JSON say format = 'json'",
                   names.len ? buf_text(&names) : "none at all"));
    }
    buf_close(&names);
    return r->facts.state == TM_EVENT_SKIPPED;
}

bool debezium_other(struct reader *r, bool (*tombstone)(struct reader *r))
{
    struct tm_cell c;

    if (!walk_value(&r->walk, &c) || !connect_close(r)) {
        return reader_bad_json(r, "value");
    }
    return c.tag == TM_NULL
               ? tombstone(r)
               : reader_fail(
                     r,
                     "the value is not a Debezium envelope: it is no object");
}

static bool take_change(struct reader *r, const struct change *c,
                        struct schema *schema)
{
    if (c->is_flat) {
        return flattened_row(r, c->first, schema);
    }
    if (c->op.tag == TM_MISSING) {
        return foreign(r, c);
    }
    if (!read_op(r, &c->op)) {
        return false;
    }
    return r->facts.op == '\0' || r->facts.op == 't' ||
           (keeps_promise(r, c) && (r->facts.op != 'd' || read_deleted(r, c)));
}

bool debezium_read(struct reader *r, const struct record *rec)
{
    struct schema *schema;
    struct change c = {.op = {.tag = TM_MISSING}};

    r->facts.time_ms = rec->time_ms;
    if (!rec->value || debezium_is_heartbeat(rec->topic)) {
        return reader_skip(r);
    }
    if (!connect_open(r, r->values, rec->value, rec->value_len, &schema)) {
        return reader_bad_json(r, "value");
    }
    if (walk_char(&r->walk) != '{') {
        return debezium_other(r, reader_skip);
    }
    c.first = r->walk.i;
    if (schema) {
        r->facts.flags = EVENT_HAS_SCHEMA;
        c.before_row = &schema->before;
        c.after_row = &schema->after;
    }
    if (!read_members(r, &c) || !connect_close(r)) {
        return reader_bad_json(r, "value");
    }
    return take_change(r, &c, schema);
}

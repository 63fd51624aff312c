/*
 * Debezium's change events: {"before":...,"after":...,"source":...,"op":...},
 * bare or behind a schema. `data` is after, or before when the row was
 * deleted; since op comes late in the envelope, it is read as if it were
 * after, and read again from before on the few deletes.
 */
#include "decode/envelope.h"

#include <string.h>

#include "base/buf.h"

/* What the members of one envelope were. */
struct change {
    struct schema_row *before_row, *after_row; /* NULL: no schema */
    uint32_t before; /* structural of its value; 0: there is none */
    uint32_t first;  /* of the envelope */
    struct tm_cell op;
};

static bool has_wanted(const struct walk *w, int root)
{
    return w->tree->nodes[root].n_children > 0;
}

/* Fields of data and of after are the same value: read for whom it may
 * concern. */
static bool read_after(struct reader *r, const struct change *c)
{
    struct walk *w = &r->walk;
    uint32_t first = w->i;

    if (has_wanted(w, TM_NODE_DATA)) {
        if (!walk_node(w, TM_NODE_DATA, c->after_row)) {
            return false;
        }
        if (!has_wanted(w, TM_NODE_AFTER)) {
            *walk_cell(w, TM_NODE_AFTER) = *walk_cell(w, TM_NODE_DATA);
            return true;
        }
        w->i = first;
    }
    if (!walk_node(w, TM_NODE_AFTER, c->after_row)) {
        return false;
    }
    *walk_cell(w, TM_NODE_DATA) = *walk_cell(w, TM_NODE_AFTER);
    return true;
}

/* The database's own time of the change. */
static bool read_source(struct reader *r)
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
        if (!walk_skip(w)) {
            return false;
        }
    }
    return s == WALK_END;
}

static bool read_member(struct reader *r, struct change *c,
                        const struct walk_key *k)
{
    struct walk *w = &r->walk;

    if (walk_key_is(k, "after")) {
        return read_after(r, c);
    }
    if (walk_key_is(k, "before")) {
        c->before = w->i;
        return walk_node(w, TM_NODE_BEFORE, c->before_row);
    }
    if (walk_key_is(k, "source")) {
        return read_source(r);
    }
    if (walk_key_is(k, "op")) {
        return walk_value(w, &c->op);
    }
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

static bool take_op(struct reader *r, const struct change *c)
{
    char op = c->op.len == 1 ? c->op.p[0] : '\0';

    if (c->op.tag != TM_TEXT || op == '\0' || !strchr("crudtm", op)) {
        return reader_fail(r, "the op of this Debezium envelope is not one "
                              "of c, u, d, r, t and m");
    }
    if (op == 'm') {
        return reader_skip(r);
    }
    r->facts.op = (uint8_t)op;
    if (r->op_types[(uint8_t)op] == 0) {
        r->op_types[(uint8_t)op] = (uint16_t)types_number(&r->types, &op, 1);
    }
    r->facts.type = r->op_types[(uint8_t)op];
    return op != 'd' || read_deleted(r, c);
}

/* ---- values that are no change of a row ---- */

/* The names of the value's fields, and whether they are those of a record of
 * Debezium's transaction topic. */
static bool is_transaction(struct walk *w, struct buf *names)
{
    static const char *const words[] = {"status", "id", "event_count"};
    unsigned seen = 0;
    struct walk_key k;
    enum walk_step s = walk_first(w, &k);

    for (; s == WALK_MEMBER && walk_skip(w); s = walk_next(w, &k)) {
        for (unsigned i = 0; i < 3; i++) {
            seen |= walk_key_is(&k, words[i]) ? 1u << i : 0;
        }
        if (names->len < 200) {
            buf_printf(names, "%s%.*s", names->len ? ", " : "",
                       (int)(k.len < 64 ? k.len : 64), k.p);
        }
    }
    return seen == 7;
}

static bool foreign(struct reader *r, const struct change *c)
{
    struct buf names = {0};

    r->walk.i = c->first;
    if (is_transaction(&r->walk, &names)) {
        reader_skip(r);
    } else {
        reader_misfit(
            r, arena_printf(
                   r->walk.arena,
                   "the value is not a Debezium envelope: it has no field op, "
                   "but %s. Flattened rows (ExtractNewRecordState) are not "
                   "supported yet: remove that transform from the connector; "
                   "for other JSON say format = 'json'",
                   names.len ? buf_text(&names) : "none at all"));
    }
    buf_close(&names);
    return r->facts.state == TM_EVENT_SKIPPED;
}

/* A payload that is no object: null is a tombstone behind a schema. */
static bool read_other(struct reader *r)
{
    struct tm_cell c;

    if (!walk_value(&r->walk, &c) || !connect_close(r)) {
        return reader_bad_json(r, "value");
    }
    return c.tag == TM_NULL
               ? reader_skip(r)
               : reader_fail(
                     r,
                     "the value is not a Debezium envelope: it is no object");
}

static bool is_heartbeat(const char *topic)
{
    static const char prefix[] = "__debezium-heartbeat";

    return strncmp(topic, prefix, sizeof prefix - 1) == 0;
}

bool debezium_read(struct reader *r, const struct record *rec)
{
    struct schema *schema;
    struct change c = {.op = {.tag = TM_MISSING}};

    r->facts.time_ms = rec->time_ms;
    if (!rec->value || is_heartbeat(rec->topic)) {
        return reader_skip(r);
    }
    if (!connect_open(r, r->values, rec->value, rec->value_len, &schema)) {
        return reader_bad_json(r, "value");
    }
    if (walk_char(&r->walk) != '{') {
        return read_other(r);
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
    return c.op.tag == TM_MISSING ? foreign(r, &c) : take_op(r, &c);
}

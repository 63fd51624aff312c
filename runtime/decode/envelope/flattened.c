/*
 * Rows behind Debezium's ExtractNewRecordState: the row alone, and beside its
 * columns what the transform was told to add (__op, __deleted, __lsn, ...),
 * which stay fields of the row. A deleted row comes as `before`: what is not
 * part of its replica identity is NULL or zero in it, and no value.
 */
#include "decode/envelope/envelope.h"

/* What stands beside the columns. */
struct marks {
    struct tm_cell op, deleted, time;
    bool has_op, has_after, has_source; /* fields of an envelope */
};

static bool read_mark(struct walk *w, struct marks *m, const struct walk_key *k)
{
    if (k->len > 2 && k->p[0] == '_' && k->p[1] == '_') {
        if (walk_key_is(k, "__op")) {
            return walk_value(w, &m->op);
        }
        if (walk_key_is(k, "__deleted")) {
            return walk_value(w, &m->deleted);
        }
        if (walk_key_is(k, "__source_ts_ms")) {
            return walk_value(w, &m->time);
        }
    }
    m->has_op |= walk_key_is(k, "op");
    m->has_after |= walk_key_is(k, "after");
    m->has_source |= walk_key_is(k, "source") && walk_char(w) == '{';
    return walk_skip(w);
}

static bool read_marks(struct walk *w, struct marks *m)
{
    struct walk_key k;
    enum walk_step s = walk_first(w, &k);

    for (; s == WALK_MEMBER; s = walk_next(w, &k)) {
        if (!read_mark(w, m, &k)) {
            return false;
        }
    }
    return s == WALK_END;
}

static bool take_delete(struct reader *r)
{
    static const struct tm_cell op = {.p = "d", .len = 1, .tag = TM_TEXT};

    return reader_op(r, &op);
}

/* Without __op the letter is known of deletes alone. */
static bool take_op(struct reader *r, const struct marks *m, bool is_deleted)
{
    if (is_deleted) {
        return take_delete(r);
    }
    if (m->op.tag == TM_MISSING || m->op.tag == TM_NULL) {
        r->facts.flags |= EVENT_NO_OP;
        return true;
    }
    return reader_op(r, &m->op);
}

static bool take_row(struct reader *r, uint32_t first, bool is_deleted,
                     struct schema *schema)
{
    struct walk *w = &r->walk;

    reader_forget(r);
    w->i = first;
    if (is_deleted) {
        walk_cell(w, TM_NODE_AFTER)->tag = TM_NULL;
    }
    return reader_row(r, is_deleted ? TM_NODE_BEFORE : TM_NODE_AFTER,
                      schema ? &schema->top : &r->added_times) ||
           reader_bad_json(r, "value");
}

/* The marks are known; the row is read for its columns. */
static bool take(struct reader *r, uint32_t first, const struct marks *m,
                 struct schema *schema)
{
    bool is_deleted;

    r->facts.flags = EVENT_FLAT | (schema ? EVENT_HAS_SCHEMA : 0);
    if (m->time.tag == TM_INT) {
        r->facts.time_ms = m->time.i;
    }
    if (!reader_deletion(r, &m->deleted, &m->op, &is_deleted) ||
        !take_op(r, m, is_deleted)) {
        return false;
    }
    return r->facts.state == TM_EVENT_SKIPPED ||
           take_row(r, first, is_deleted, schema);
}

bool flattened_row(struct reader *r, uint32_t first, struct schema *schema)
{
    struct marks m = {.op.tag = TM_MISSING};

    r->walk.i = first;
    return read_marks(&r->walk, &m) ? take(r, first, &m, schema)
                                    : reader_bad_json(r, "value");
}

static bool is_envelope(const struct marks *m)
{
    return m->has_op && m->has_after && m->has_source &&
           m->op.tag == TM_MISSING && m->deleted.tag == TM_MISSING;
}

/* A delete that left nothing but the key of its row. */
static bool take_tombstone(struct reader *r)
{
    return r->topic->flattened == FLATTENED_TOMBSTONE ? take_delete(r)
                                                      : reader_skip(r);
}

static bool read_object(struct reader *r, struct schema *schema)
{
    struct marks m = {.op.tag = TM_MISSING};
    uint32_t first = r->walk.i;

    if (!read_marks(&r->walk, &m) || !connect_close(r)) {
        return reader_bad_json(r, "value");
    }
    if (is_envelope(&m)) {
        return reader_misfit(r, "the value is a Debezium envelope, though the "
                                "pipeline says flattened: take that word out "
                                "of kafka{}");
    }
    /* Debezium's own records pass the transform as they are. */
    return m.op.tag == TM_MISSING && m.deleted.tag == TM_MISSING &&
                   debezium_is_own(&r->walk, first, NULL)
               ? reader_skip(r)
               : take(r, first, &m, schema);
}

bool flattened_read(struct reader *r, const struct record *rec)
{
    struct schema *schema;

    r->facts.time_ms = rec->time_ms;
    if (debezium_is_heartbeat(rec->topic)) {
        return reader_skip(r);
    }
    if (!rec->value) {
        return take_tombstone(r);
    }
    if (!connect_open(r, r->values, rec->value, rec->value_len, &schema)) {
        return reader_bad_json(r, "value");
    }
    return walk_char(&r->walk) == '{' ? read_object(r, schema)
                                      : debezium_other(r, take_tombstone);
}

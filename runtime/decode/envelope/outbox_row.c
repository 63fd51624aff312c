/*
 * Rows of an outbox table that Debezium captures and no EventRouter routes, in
 * an envelope or flattened. An inserted row is an event; what happens to it
 * later is housekeeping. What EventRouter makes of the columns is made here:
 * type, key and id of the event, and its payload as the data.
 */
#include "decode/envelope/envelope.h"

#include <string.h>

#include "base/err.h"
#include "decode/json/logical.h"
#include "decode/json/text.h"
#include "decode/json/walk_node.h"
#include "decode/value/convert.h"

enum column { COLUMN_ID, COLUMN_KEY, COLUMN_TYPE, COLUMN_PAYLOAD, COLUMN_TIME };
enum { COLUMNS = COLUMN_TIME + 1 };

/* Around the row. */
struct frame {
    struct tm_cell op;                  /* of an envelope */
    struct tm_cell mark, deleted, time; /* __op, ... of a flattened row */
    uint32_t after;                     /* structural; 0: there is none */
    bool has_source;
};

struct outbox_row {
    struct tm_cell cells[COLUMNS];
    uint32_t payload; /* structural of its value */
};

/* ---- what surrounds the row ---- */

static bool read_member(struct reader *r, struct frame *f,
                        const struct walk_key *k)
{
    struct walk *w = &r->walk;

    if (walk_key_is(k, "after")) {
        f->after = w->i;
        return walk_skip(w);
    }
    if (walk_key_is(k, "source")) {
        f->has_source = walk_char(w) == '{';
        return reader_source(r);
    }
    if (walk_key_is(k, "op")) {
        return walk_value(w, &f->op);
    }
    if (walk_key_is(k, "__op")) {
        return walk_value(w, &f->mark);
    }
    if (walk_key_is(k, "__deleted")) {
        return walk_value(w, &f->deleted);
    }
    return walk_key_is(k, "__source_ts_ms") ? walk_value(w, &f->time)
                                            : walk_skip(w);
}

static bool read_frame(struct reader *r, struct frame *f)
{
    struct walk_key k;
    enum walk_step s = walk_first(&r->walk, &k);

    for (; s == WALK_MEMBER; s = walk_next(&r->walk, &k)) {
        if (!read_member(r, f, &k)) {
            return false;
        }
    }
    return s == WALK_END;
}

/* A flattened row may have columns called op, after or source. */
static bool is_envelope(const struct reader *r, const struct frame *f)
{
    bool is_letter = f->op.tag == TM_TEXT && f->op.len == 1;

    return r->topic->flattened == FLATTENED_UNSAID && f->op.tag != TM_MISSING &&
           f->mark.tag == TM_MISSING &&
           (is_letter ? f->after || f->has_source : f->after && f->has_source);
}

/* Events are rows that were inserted, or were there when the connector began;
 * of all else only the position moves. */
static bool is_event(char op)
{
    return op == 'c' || op == 'r';
}

/* The letter of a flattened row; nobody need have been told to add it, and then
 * a row that was not deleted was inserted. 0: it makes no sense. */
static char letter_of(struct reader *r, const struct frame *f)
{
    bool is_deleted;

    if (!reader_deletion(r, &f->deleted, &f->mark, &is_deleted)) {
        return '\0';
    }
    if (is_deleted) {
        return 'd';
    }
    return f->mark.tag == TM_MISSING || f->mark.tag == TM_NULL
               ? 'c'
               : reader_letter(r, &f->mark);
}

/* ---- the row ---- */

static bool read_column(struct reader *r, const struct walk_key *k,
                        struct outbox_row *row)
{
    const struct plan_outbox *o = r->topic->outbox;
    struct walk *w = &r->walk;

    if (walk_key_is(k, o->payload)) {
        row->payload = w->i;
        return walk_value(w, &row->cells[COLUMN_PAYLOAD]);
    }
    if (walk_key_is(k, o->type)) {
        return walk_value(w, &row->cells[COLUMN_TYPE]);
    }
    if (walk_key_is(k, o->time ? o->time : "")) {
        return walk_value(w, &row->cells[COLUMN_TIME]);
    }
    bool is_id = walk_key_is(k, o->id), is_key = walk_key_is(k, o->key);
    uint32_t first = w->i;
    /* A table may use one column for both. */
    if (is_id && !walk_raw(w, &row->cells[COLUMN_ID])) {
        return false;
    }
    w->i = is_key ? first : w->i;
    return is_key ? walk_raw(w, &row->cells[COLUMN_KEY])
                  : is_id || walk_skip(w);
}

static bool read_columns(struct reader *r, struct outbox_row *row)
{
    struct walk_key k;
    enum walk_step s = walk_first(&r->walk, &k);

    for (; s == WALK_MEMBER; s = walk_next(&r->walk, &k)) {
        if (!read_column(r, &k, row)) {
            return false;
        }
    }
    return s == WALK_END;
}

static bool no_column(struct reader *r, const char *word, const char *name,
                      uint32_t first)
{
    struct buf names = {0};

    debezium_is_own(&r->walk, first, &names);
    reader_misfit(
        r,
        arena_printf(r->walk.arena,
                     "the row has no column %s, but %s: say outbox = { "
                     "table = { %s = 'column' } } in kafka{}",
                     name, names.len ? buf_text(&names) : "none at all", word));
    buf_close(&names);
    return false;
}

/* All columns must be there; which of them may be NULL is another matter. */
static bool check_columns(struct reader *r, const struct outbox_row *row,
                          uint32_t first)
{
    const struct plan_outbox *o = r->topic->outbox;
    const struct {
        const char *word, *name;
    } columns[] = {
        [COLUMN_ID] = {"id", o->id},
        [COLUMN_KEY] = {"key", o->key},
        [COLUMN_TYPE] = {"type", o->type},
        [COLUMN_PAYLOAD] = {"payload", o->payload},
        [COLUMN_TIME] = {"time", o->time},
    };
    EACH(columns, COLUMNS);

    for (int i = 0; i < COLUMNS; i++) {
        if (columns[i].name && row->cells[i].tag == TM_MISSING) {
            return no_column(r, columns[i].word, columns[i].name, first);
        }
    }
    return true;
}

static bool take_type(struct reader *r, const struct tm_cell *c)
{
    const char *name = r->topic->outbox->type;

    if (c->tag != TM_TEXT) {
        return reader_fail(r,
                           "the column %s of the outbox row, which names "
                           "the event's type, is not a text",
                           name);
    }
    return reader_type(r, c->p, c->len);
}

/* Nobody knows the precision of the column here, so a number needs a unit. */
static bool is_timeless(const struct reader *r, const struct tm_cell *c)
{
    enum plan_times times = r->topic->times;

    return c->hint == TM_HINT_NONE && c->tag != TM_TEXT &&
           (times < TIMES_SECONDS || times > TIMES_NANOS);
}

/* Numbers mean what the schema says, or else `times`. */
static bool take_time(struct reader *r, const struct tm_cell *c,
                      struct schema_row *schema)
{
    static const struct coltype stamp = {.kind = TYPE_TIMESTAMPTZ,
                                         .precision = 6};
    struct convert_rules rules = {.format = FORMAT_DEBEZIUM,
                                  .times = r->topic->times};
    const char *name = r->topic->outbox->time;
    struct tm_cell in = *c, out;
    struct err e;

    if (c->tag == TM_MISSING || c->tag == TM_NULL) {
        return true;
    }
    logical_time(schema, name, &in);
    if (is_timeless(r, &in)) {
        return reader_misfit(
            r, arena_printf(r->walk.arena,
                            "the column %s of the outbox row is a number that "
                            "has no stated unit: write times = 'millis' or "
                            "'micros' in kafka{}",
                            name));
    }
    if (!convert_cell(&stamp, &in, &rules, r->walk.arena, &out, &e)) {
        return reader_fail(r, "the column %s of the outbox row: %s", name,
                           e.text);
    }
    r->facts.time_ms = out.i / 1000 - (out.i % 1000 < 0);
    return true;
}

static void put(struct reader *r, int root, const struct tm_cell *c)
{
    struct tm_cell *cell = walk_cell(&r->walk, root);

    if (cell) {
        *cell = *c;
    }
}

/* json and jsonb come as text; the walk leaves the row for it. */
static bool take_payload(struct reader *r, const struct outbox_row *row)
{
    const struct tm_cell *c = &row->cells[COLUMN_PAYLOAD];

    if (c->tag == TM_TEXT) {
        return reader_document(r, c);
    }
    r->walk.i = row->payload;
    return walk_node(&r->walk, TM_NODE_DATA, NULL) ||
           reader_bad_json(r, "value");
}

static bool take_row(struct reader *r, uint32_t first,
                     struct schema_row *schema)
{
    struct outbox_row row = {0};

    r->walk.i = first;
    if (!read_columns(r, &row)) {
        return reader_bad_json(r, "value");
    }
    if (!check_columns(r, &row, first)) {
        return false;
    }
    put(r, TM_NODE_ID, &row.cells[COLUMN_ID]);
    put(r, TM_NODE_KEY, &row.cells[COLUMN_KEY]);
    return take_type(r, &row.cells[COLUMN_TYPE]) &&
           take_time(r, &row.cells[COLUMN_TIME], schema) &&
           take_payload(r, &row);
}

static bool take_envelope(struct reader *r, const struct frame *f,
                          struct schema *schema)
{
    char op = reader_letter(r, &f->op);
    struct tm_cell after = {.tag = TM_MISSING};

    if (!is_event(op)) {
        return op != '\0' && reader_skip(r);
    }
    r->walk.i = f->after;
    if (f->after && walk_char(&r->walk) == '{') {
        return take_row(r, f->after, schema ? &schema->after : NULL);
    }
    return f->after && !walk_value(&r->walk, &after)
               ? reader_bad_json(r, "value")
               : debezium_no_row(r, op, "after", &after);
}

static bool take_flattened(struct reader *r, const struct frame *f,
                           uint32_t first, struct schema *schema)
{
    char op = letter_of(r, f);

    r->facts.flags |= EVENT_FLAT;
    if (f->time.tag == TM_INT) {
        r->facts.time_ms = f->time.i;
    }
    if (!is_event(op) || debezium_is_own(&r->walk, first, NULL)) {
        return op != '\0' && reader_skip(r);
    }
    return take_row(r, first, schema ? &schema->top : NULL);
}

static bool read_object(struct reader *r, struct schema *schema)
{
    struct frame f = {.after = 0};
    uint32_t first = r->walk.i;

    if (!read_frame(r, &f) || !connect_close(r)) {
        return reader_bad_json(r, "value");
    }
    return is_envelope(r, &f) ? take_envelope(r, &f, schema)
                              : take_flattened(r, &f, first, schema);
}

bool outbox_row_read(struct reader *r, const struct record *rec)
{
    struct schema *schema;

    r->facts.time_ms = rec->time_ms;
    put(r, TM_NODE_KEY, &(struct tm_cell){.tag = TM_MISSING});
    if (!rec->value || debezium_is_heartbeat(rec->topic)) {
        return reader_skip(r);
    }
    if (!connect_open(r, r->values, rec->value, rec->value_len, &schema)) {
        return reader_bad_json(r, "value");
    }
    return walk_char(&r->walk) == '{' ? read_object(r, schema)
                                      : debezium_other(r, reader_skip);
}

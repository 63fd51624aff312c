/* See schema.h. */
#include "decode/json/schema.h"

#include <stdlib.h>
#include <string.h>

#include "decode/json/json.h"
#include "decode/json/path.h"
#include "decode/json/text.h"
#include "decode/json/tokens.h"
#include "model/api.h"

/* One a table and side; 4 KB each. A worker rarely reads more tables at a
 * time, and a miss costs 20 us, not correctness. */
enum { SCHEMAS = 64, SCHEMAS_BYTES = 8 * 1024 * 1024 };

struct schemas {
    struct schema *items[SCHEMAS]; /* owned; the one used last comes first */
    uint32_t n;
    size_t bytes; /* of all items; one alone may be more than there is room */
    struct json_index *index; /* owned */
    struct arena scratch;
};

struct schemas *schemas_new(void)
{
    struct schemas *s = mem_zero(1, sizeof(*s));

    s->index = json_index_new();
    arena_init(&s->scratch, 64 * 1024);
    return s;
}

static void schema_free(struct schema *s)
{
    free(s->top.by_node);
    free(s->before.by_node);
    free(s->after.by_node);
    free(s->prefix);
    arena_close(&s->arena);
    free(s);
}

void schemas_free(struct schemas *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        schema_free(s->items[i]);
    }
    json_index_free(s->index);
    arena_close(&s->scratch);
    free(s);
}

static void move_to_front(struct schemas *s, uint32_t at)
{
    struct schema *item = s->items[at];

    memmove(s->items + 1, s->items, at * sizeof(*s->items));
    s->items[0] = item;
}

struct schema *schemas_find(struct schemas *s, const char *p, size_t len)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct schema *item = s->items[i];

        if (item->prefix_len < len &&
            memcmp(item->prefix, p, item->prefix_len) == 0) {
            if (i > 0) {
                move_to_front(s, i);
            }
            return s->items[0];
        }
    }
    return NULL;
}

/* ---- reading a schema ---- */

static enum logical logical_of(const struct tm_cell *name)
{
    static const struct {
        const char *name;
        enum logical logical;
    } table[] = {
        {"org.apache.kafka.connect.data.Decimal", LOGICAL_DECIMAL},
        {"io.debezium.data.VariableScaleDecimal", LOGICAL_VARIABLE_DECIMAL},
        {"io.debezium.time.Timestamp", LOGICAL_IS_MILLIS},
        {"io.debezium.time.Time", LOGICAL_IS_MILLIS},
        {"org.apache.kafka.connect.data.Timestamp", LOGICAL_IS_MILLIS},
        {"org.apache.kafka.connect.data.Time", LOGICAL_IS_MILLIS},
        {"io.debezium.time.MicroTimestamp", LOGICAL_MICROS},
        {"io.debezium.time.MicroTime", LOGICAL_MICROS},
        {"io.debezium.time.NanoTimestamp", LOGICAL_NANOS},
        {"io.debezium.time.NanoTime", LOGICAL_NANOS},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (text_is(name, table[i].name)) {
            return table[i].logical;
        }
    }
    return LOGICAL_NONE;
}

#define FIELD(text, unit)                                                      \
    {                                                                          \
        .name = text, .len = sizeof(text) - 1, .logical = unit                 \
    }

static struct schema_field source_times[] = {
    FIELD("ts_ms", LOGICAL_IS_MILLIS),
    FIELD("ts_us", LOGICAL_IS_MICROS),
    FIELD("ts_ns", LOGICAL_IS_NANOS),
};
static struct schema_field added_times[] = {
    FIELD("__source_ts_ms", LOGICAL_IS_MILLIS),
    FIELD("__source_ts_us", LOGICAL_IS_MICROS),
    FIELD("__source_ts_ns", LOGICAL_IS_NANOS),
    FIELD("__ts_ms", LOGICAL_IS_MILLIS),
    FIELD("__ts_us", LOGICAL_IS_MICROS),
    FIELD("__ts_ns", LOGICAL_IS_NANOS),
};
enum {
    SOURCE_TIMES = sizeof(source_times) / sizeof(*source_times),
    ADDED_TIMES = sizeof(added_times) / sizeof(*added_times)
};

struct schema_row schema_source_times(void)
{
    return (struct schema_row){.fields = source_times,
                               .n_fields = SOURCE_TIMES};
}

struct schema_row schema_added_times(void)
{
    return (struct schema_row){.fields = added_times, .n_fields = ADDED_TIMES};
}

static enum logical added_unit(const struct tm_cell *name)
{
    for (uint32_t i = 0; i < ADDED_TIMES; i++) {
        if (text_is(name, added_times[i].name)) {
            return (enum logical)added_times[i].logical;
        }
    }
    return LOGICAL_NONE;
}

/* Parameters of a schema are texts: "scale":"2". */
static int32_t scale_of(const struct tm_cell *field)
{
    const struct tm_cell *all = tokens_member(field, "parameters");
    const struct tm_cell *scale = all ? tokens_member(all, "scale") : NULL;
    char text[16] = "0";

    if (scale && scale->tag == TM_TEXT && scale->len < sizeof(text)) {
        memcpy(text, scale->p, scale->len);
        text[scale->len] = '\0';
    }
    return (int32_t)strtol(text, NULL, 10);
}

static void add_field(struct schema *s, struct schema_row *row,
                      const struct tm_cell *field)
{
    const struct tm_cell *name = tokens_member(field, "field");
    enum logical logical = logical_of(tokens_member(field, "name"));

    if (logical == LOGICAL_NONE &&
        text_is(tokens_member(field, "type"), "bytes")) {
        logical = LOGICAL_BYTES;
    }
    if (logical == LOGICAL_NONE && name) {
        logical = added_unit(name);
    }
    if (logical != LOGICAL_NONE && name && name->tag == TM_TEXT) {
        row->fields[row->n_fields++] = (struct schema_field){
            .name = arena_dup(&s->arena, name->p, name->len),
            .len = name->len,
            .logical = (uint8_t)logical,
            .scale = scale_of(field)};
    }
}

static const struct tm_cell *fields_of(const struct tm_cell *type)
{
    const struct tm_cell *fields = tokens_member(type, "fields");

    return fields && fields->tag == TM_ARRAY ? fields : NULL;
}

static void read_row(struct schema *s, struct schema_row *row,
                     const struct tm_cell *type)
{
    const struct tm_cell *fields = fields_of(type);

    if (!fields) {
        return;
    }
    row->fields = arena_alloc(&s->arena, fields->len * sizeof(*row->fields));
    const struct tm_cell *field = fields + 1;
    for (uint32_t i = 0; i < fields->len; i++) {
        add_field(s, row, field);
        field = tokens_behind(field);
    }
}

static void read_schema(struct schema *s, const struct tm_cell *type)
{
    const struct tm_cell *fields = fields_of(type);

    read_row(s, &s->top, type);
    if (!fields) {
        return;
    }
    const struct tm_cell *field = fields + 1;
    for (uint32_t i = 0; i < fields->len; i++) {
        const struct tm_cell *name = tokens_member(field, "field");

        if (text_is(name, "before") && s->before.n_fields == 0) {
            read_row(s, &s->before, field);
        } else if (text_is(name, "after") && s->after.n_fields == 0) {
            read_row(s, &s->after, field);
        }
        field = tokens_behind(field);
    }
}

static size_t bytes_of(const struct schema *item)
{
    return item->prefix_len + item->arena.total_bytes;
}

static void make_room(struct schemas *s, size_t bytes)
{
    while (s->n > 0 && (s->n == SCHEMAS || s->bytes + bytes > SCHEMAS_BYTES)) {
        s->bytes -= bytes_of(s->items[--s->n]);
        schema_free(s->items[s->n]);
    }
    s->bytes += bytes;
}

struct schema *schemas_learn(struct schemas *s, const char *prefix,
                             size_t prefix_len, const char *json,
                             size_t json_len)
{
    struct schema *item = mem_zero(1, sizeof(*item));
    const struct tm_cell *tokens;
    uint32_t n;

    arena_init(&item->arena, 0);
    item->prefix = mem_alloc(prefix_len);
    item->prefix_len = prefix_len;
    memcpy(item->prefix, prefix, prefix_len);
    if (tokens_read(s->index, &s->scratch, json, json_len, &tokens, &n)) {
        read_schema(item, tokens);
    }
    arena_reset(&s->scratch);
    make_room(s, bytes_of(item));
    s->items[s->n++] = item;
    move_to_front(s, s->n - 1);
    return item;
}

/* ---- fields of a row by node ---- */

enum { BY_NODE_UNKNOWN = -1, BY_NODE_NONE = -2 };

const struct schema_field *schema_row_named(const struct schema_row *row,
                                            const char *name, uint32_t len)
{
    for (uint32_t i = 0; i < row->n_fields; i++) {
        if (row->fields[i].len == len &&
            memcmp(row->fields[i].name, name, len) == 0) {
            return &row->fields[i];
        }
    }
    return NULL;
}

static int16_t look_up(const struct schema_row *row, const struct path_node *t)
{
    const struct schema_field *f = schema_row_named(row, t->name, t->len);

    return f ? (int16_t)(f - row->fields) : BY_NODE_NONE;
}

const struct schema_field *schema_row_field(struct schema_row *row,
                                            const struct path *tree, int node)
{
    if ((uint32_t)node >= row->n_by_node) {
        row->by_node =
            mem_grow(row->by_node, tree->n_nodes * sizeof(*row->by_node));
        for (uint32_t i = row->n_by_node; i < tree->n_nodes; i++) {
            row->by_node[i] = BY_NODE_UNKNOWN;
        }
        row->n_by_node = tree->n_nodes;
    }
    if (row->by_node[node] == BY_NODE_UNKNOWN) {
        row->by_node[node] = look_up(row, &tree->nodes[node]);
    }
    return row->by_node[node] >= 0 ? &row->fields[row->by_node[node]] : NULL;
}

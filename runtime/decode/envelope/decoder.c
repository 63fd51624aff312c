/* See decoder.h. The formats are in their own files; here is what surrounds
 * them: arrays, columns, and the state of each record. */
#include "decode/envelope/decoder_part.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/json/tokens.h"
#include "decode/json/walk_node.h"

static envelope_fn reading_of(const struct plan_topic *t)
{
    switch (t->format) {
    case FORMAT_OUTBOX:
        return t->outbox ? outbox_row_read : outbox_read;
    case FORMAT_DEBEZIUM:
        return t->flattened == FLATTENED_UNSAID ? debezium_read
                                                : flattened_read;
    case FORMAT_JSON:
        break;
    }
    return plain_read;
}

static void open_readings(struct decoder *d)
{
    const struct plan_source *s = d->source;

    d->readings = mem_zero(s->n_topics + 1, sizeof(*d->readings));
    for (uint32_t i = 0; i < s->n_topics; i++) {
        const struct plan_topic *t = &s->settings[i];

        d->readings[i] = (struct reading){
            .read = reading_of(t),
            .is_keyed_in = t->outbox != NULL,
            .type_node = t->format == FORMAT_JSON && t->type_path
                             ? decoder_path(d, t->type_path)
                             : -1};
    }
}

struct decoder *decoder_new(const struct plan_source *s,
                            record_header_fn header)
{
    struct decoder *d = mem_zero(1, sizeof(*d));
    struct reader *r = &d->reader;

    path_init(&d->tree);
    lookup_init(&d->lookup);
    r->walk.members = &d->lookup.members;
    types_init(&r->types);
    for (const char *op = "crudt"; *op; op++) {
        types_know(&r->types, op, 1);
    }
    d->source = s;
    r->header = header;
    r->values = schemas_new();
    r->keys = schemas_new();
    r->source_times = schema_source_times();
    r->added_times = schema_added_times();
    r->walk.index = json_index_new();
    open_readings(d);
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d) {
        return;
    }
    json_index_free(d->reader.walk.index);
    free(d->reader.source_times.by_node);
    free(d->reader.added_times.by_node);
    schemas_free(d->reader.keys);
    schemas_free(d->reader.values);
    types_close(&d->reader.types);
    path_close(&d->tree);
    lookup_close(&d->lookup);
    free(d->readings);
    free(d);
}

void decoder_set_header(struct decoder *d, record_header_fn header)
{
    d->reader.header = header;
}

static int want(struct decoder *d, int node)
{
    if (node >= 0) {
        d->tree.nodes[node].wanted = true;
    }
    return node;
}

static int declare(struct decoder *d, int node)
{
    for (int n = node; n >= 0; n = d->tree.nodes[n].parent) {
        d->tree.nodes[n].is_strict = true;
    }
    return want(d, node);
}

int decoder_path(struct decoder *d, const char *path)
{
    return declare(d, path_find(&d->tree, path));
}

int decoder_field(struct decoder *d, int parent, const char *name, size_t len)
{
    return declare(d, path_field(&d->tree, parent, name, len));
}

int decoder_learn(struct decoder *d, int parent, const char *name, size_t len,
                  enum path_name is)
{
    return want(d, path_learn(&d->tree, parent, name, len, is));
}

const char *decoder_text(const struct decoder *d, int node, struct arena *a)
{
    return path_text(&d->tree, node, a);
}

static uint32_t once(bool *is_logged, uint32_t n)
{
    bool was_logged = *is_logged;

    *is_logged = true;
    return was_logged ? 0 : n;
}

uint32_t decoder_must_tell(struct decoder *d, int node)
{
    struct path_node *n = &d->tree.nodes[node];

    return n->n_varied == PATH_VARIED ? once(&n->is_logged, PATH_VARIED)
           : path_has_room(&d->tree, node, PATH_NAME_VARIES)
               ? 0
               : once(&d->tree.is_logged, d->tree.n_learned);
}

/* ---- the arrays of a batch ---- */

static void publish(struct events *ev)
{
    struct tm_batch *b = ev->view;

    b->n_events = ev->n;
    b->n_nodes = ev->cap_nodes;
    b->states = ev->states;
    b->types = ev->types;
    b->ops = ev->ops;
    b->columns = ev->columns;
    b->reasons = ev->reasons;
}

/* Zeroed: TM_MISSING is what a cell is until its field turns up. */
static struct tm_cell *new_column(struct events *ev)
{
    return arena_zero(ev->arena, ev->cap * sizeof(struct tm_cell));
}

/* Data, before and after have a column always: whether an event has them is
 * asked of every event. */
static bool has_column(const struct decoder *d, uint32_t node)
{
    return d->tree.nodes[node].wanted || node < TM_NODE_KEY;
}

void events_prepare(struct events *ev, struct decoder *d, uint32_t n)
{
    ev->n = ev->cap = n;
    ev->cap_nodes = d->tree.n_nodes;
    ev->states = arena_zero(ev->arena, n * sizeof(*ev->states));
    ev->types = arena_zero(ev->arena, n * sizeof(*ev->types));
    ev->ops = arena_zero(ev->arena, n * sizeof(*ev->ops));
    ev->times_ms = arena_zero(ev->arena, n * sizeof(*ev->times_ms));
    ev->flags = arena_zero(ev->arena, n * sizeof(*ev->flags));
    ev->topics = arena_zero(ev->arena, n * sizeof(*ev->topics));
    ev->reasons = arena_zero(ev->arena, n * sizeof(*ev->reasons));
    ev->columns = arena_zero(ev->arena, ev->cap_nodes * sizeof(*ev->columns));
    for (uint32_t i = 0; i < ev->cap_nodes; i++) {
        if (has_column(d, i)) {
            ev->columns[i] = new_column(ev);
        }
    }
    publish(ev);
}

/* ---- decoding ---- */

/* Names of topics are told apart by their address; another batch may have
 * another name at the same one. */
static void aim(struct decoder *d, struct events *ev, struct path *tree)
{
    struct walk *w = &d->reader.walk;

    d->topic = NULL;
    w->tree = tree;
    w->columns = ev->columns;
    w->n_columns = ev->cap_nodes;
    w->arena = ev->arena;
}

/* A topic that nobody named is read as the first one is. */
static void turn_to(struct decoder *d, const char *topic)
{
    const struct plan_source *s = d->source;
    uint32_t at = 0;

    while (at < s->n_topics && strcmp(s->settings[at].name, topic) != 0) {
        at++;
    }
    at = at < s->n_topics ? at : 0;
    d->topic = topic;
    d->now = &d->readings[at];
    d->reader.topic = &s->settings[at];
    d->reader.type_node = d->now->type_node;
    d->reader.walk.unavailable = s->settings[at].unavailable;
}

static inline void follow_topic(struct decoder *d, const struct record *rec)
{
    if (rec->topic != d->topic) {
        turn_to(d, rec->topic);
    }
}

void decoder_begin_record(struct reader *r, uint32_t event)
{
    r->walk.event = event;
    r->walk.serial++;
    r->facts = (struct facts){.state = TM_EVENT_OK};
    r->reason = NULL;
    r->is_misfit = false;
    r->knows_prefixes = true;
    r->used_prefix = false;
}

/*
 * Behind a known schema the payload is read as if it ended just before the
 * last brace. When that fails the record is read again as a whole: it may
 * have members behind the payload.
 */
static bool read_value(struct decoder *d, const struct record *rec)
{
    struct reader *r = &d->reader;

    if (d->now->read(r, rec)) {
        return true;
    }
    if (!r->used_prefix) {
        return false;
    }
    reader_forget(r);
    decoder_begin_record(r, r->walk.event);
    r->knows_prefixes = false;
    return d->now->read(r, rec);
}

static void fail(struct events *ev, uint32_t i, const struct reader *r)
{
    ev->states[i] = TM_EVENT_FAILED;
    ev->reasons[i] = r->reason;
    ev->flags[i] |= r->is_misfit ? EVENT_MISFIT : 0;
}

/* A key that only a handler asks for fails no record of which nobody does. */
static bool read_key(struct decoder *d, const struct record *rec)
{
    struct reader *r = &d->reader;
    struct tm_cell *cell = walk_cell(&r->walk, TM_NODE_KEY);

    if (key_read(r, rec)) {
        return true;
    }
    if (d->tree.nodes[TM_NODE_KEY].is_strict) {
        return false;
    }
    walk_clear(&r->walk, TM_NODE_KEY);
    if (cell) {
        *cell = (struct tm_cell){.p = r->reason, .tag = TM_UNREADABLE};
    }
    r->reason = NULL;
    return true;
}

static void keep_type(struct events *ev, uint32_t i, const struct facts *facts)
{
    if (!ev->others) {
        ev->others = new_column(ev);
    }
    ev->others[i] = (struct tm_cell){
        .p = facts->type_name, .len = facts->type_len, .tag = TM_TEXT};
}

static void decode_one(struct decoder *d, struct events *ev, uint32_t i,
                       bool wants_key)
{
    struct reader *r = &d->reader;
    const struct record *rec = &ev->records[i];

    decoder_begin_record(r, i);
    follow_topic(d, rec);
    bool ok = read_value(d, rec);
    struct facts facts = r->facts;
    if (ok && facts.state == TM_EVENT_OK && wants_key && !d->now->is_keyed_in) {
        r->knows_prefixes = true;
        ok = read_key(d, rec);
    }
    ev->states[i] = facts.state;
    ev->types[i] = facts.type;
    if (facts.type == TYPES_OTHER) {
        keep_type(ev, i, &facts);
    }
    ev->ops[i] = facts.op;
    ev->times_ms[i] = facts.time_ms;
    ev->flags[i] = facts.flags;
    ev->topics[i] = (uint16_t)(d->now - d->readings);
    if (!ok) {
        fail(ev, i, &d->reader);
    }
}

static bool wants_key(const struct decoder *d)
{
    const struct path_node *key = &d->tree.nodes[TM_NODE_KEY];

    return key->wanted || key->n_children > 0;
}

void decoder_run(struct decoder *d, struct events *ev, uint32_t from,
                 uint32_t to)
{
    bool key = wants_key(d);

    aim(d, ev, &d->tree);
    for (uint32_t i = from; i < to; i++) {
        decode_one(d, ev, i, key);
    }
}

/* ---- column faults ---- */

/* Nodes may have been made since the batch was prepared. */
static void add_column(struct decoder *d, struct events *ev, int node)
{
    if ((uint32_t)node >= ev->cap_nodes) {
        uint32_t cap = d->tree.n_nodes;
        struct tm_cell **columns =
            arena_zero(ev->arena, cap * sizeof(*columns));

        memcpy(columns, ev->columns, ev->cap_nodes * sizeof(*columns));
        ev->columns = columns;
        ev->cap_nodes = cap;
    }
    ev->columns[node] = new_column(ev);
    publish(ev);
}

bool decoder_read_again(struct decoder *d, const struct record *rec,
                        bool is_key)
{
    follow_topic(d, rec);
    return is_key && !d->now->is_keyed_in ? read_key(d, rec)
                                          : read_value(d, rec);
}

/* Only the column: what else the batch knows of the record stays. */
static bool decode_again(struct decoder *d, struct events *ev, uint32_t i,
                         bool is_key)
{
    const struct record *rec = &ev->records[i];

    decoder_begin_record(&d->reader, i);
    if (decoder_read_again(d, rec, is_key)) {
        return true;
    }
    fail(ev, i, &d->reader);
    return false;
}

bool decoder_column(struct decoder *d, struct events *ev, int node)
{
    struct path chain;
    bool ok = true;

    must(node >= 0 && (uint32_t)node < d->tree.n_nodes);
    bool is_key = d->tree.nodes[node].root == TM_NODE_KEY;

    if ((uint32_t)node < ev->cap_nodes && ev->columns[node]) {
        return true;
    }
    add_column(d, ev, node);
    path_chain(&d->tree, node, &chain);
    aim(d, ev, &chain);
    for (uint32_t i = 0; i < ev->n; i++) {
        /* Also of those set aside for now: a later look may apply them. */
        if (ev->states[i] != TM_EVENT_SKIPPED && !ev->reasons[i]) {
            ok = decode_again(d, ev, i, is_key) && ok;
        }
    }
    path_close(&chain);
    return ok;
}

/* ---- types and tokens ---- */

bool decoder_holds_id(const struct decoder *d, uint16_t topic)
{
    return d->readings[topic].is_keyed_in;
}

const char *decoder_type_name(const struct decoder *d, uint32_t type,
                              size_t *len)
{
    return types_name(&d->reader.types, type, len);
}

const char *decoder_event_type(const struct decoder *d, const struct events *ev,
                               uint32_t event, size_t *len)
{
    if (ev->types[event] != TYPES_OTHER) {
        return decoder_type_name(d, ev->types[event], len);
    }
    *len = ev->others[event].len;
    return ev->others[event].p;
}

void decoder_know_type(struct decoder *d, const char *name)
{
    types_know(&d->reader.types, name, strlen(name));
}

int decoder_tokens(struct decoder *d, struct arena *a, const char *json,
                   size_t len, const struct tm_cell **out, uint32_t *n_out)
{
    return tokens_read(d->reader.walk.index, a, json, len, out, n_out) ? 0 : -1;
}

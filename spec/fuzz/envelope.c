/*
 * Records through the envelope readers. An input is four bytes that choose
 * format, decimals, times, and topic and form of rows, then key, value and
 * event type of each record in turn ("~": none). What must hold beyond not crashing:
 * a record reads the same when it comes again, which is when its schema is
 * known; a field reads the same when it is wanted late; and what was read
 * fits or does not fit columns of every type.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/envelope/decoder.h"
#include "decode/value/convert.h"
#include "grammar.h"
#include "input.h"
#include "oracle.h"

enum { MOST = 8, LATE = 2 };

static const char *const PATHS[] = {
    "data.balance",     "key",         "data.id",
    "before.id",        "after.owner", "key.id",
    "data.nested.deep", "data.at",     "data.tags",
    "before.nested",    "data.b",      "source.lsn",
    "source",           "id",          "data.tags[1]",
    "after.tags[2].b",  "data[1].b",   "data['b'][1]['a.b']",
};
enum { N_PATHS = sizeof(PATHS) / sizeof(*PATHS) };

struct run {
    struct plan_source source;
    struct plan_topic topic;
    struct record records[2 * MOST]; /* each of them twice */
    struct piece pieces[MOST][3];
    uint32_t n;
    struct decoder *d;
    struct events ev;
    struct tm_batch view;
    struct arena arena;
    int nodes[N_PATHS];
};

/* The type is what the third piece of a record holds. */
static bool find_header(void *message, const char *name,
                        struct record_header *out)
{
    const struct piece *type = message;

    if (!type->p || strcmp(name, "eventType") != 0) {
        return false;
    }
    *out = (struct record_header){
        .name = "eventType", .value = type->p, .len = type->len};
    return true;
}

static void choose(struct run *r, struct input *in)
{
    static const char *const topics[] = {"t", "__debezium-heartbeat.t"};
    static const struct plan_outbox columns[] = {
        {.id = "id",
         .key = "aggregateid",
         .type = "type",
         .payload = "payload"},
        {.id = "id",
         .key = "id",
         .type = "owner",
         .payload = "big",
         .time = "ts"},
    };

    r->topic.format = (enum plan_format)(input_byte(in) % 3);
    r->topic.decimals = (enum plan_decimals)(input_byte(in) % 5);
    r->topic.times = (enum plan_times)(input_byte(in) % 5);
    r->topic.type_header = "eventType";
    uint8_t bits = input_byte(in);
    r->topic.type_path = bits & 1 ? "data.kind" : NULL;
    r->topic.flattened = (enum plan_flattened)((bits >> 2) % 3);
    r->topic.outbox = bits & 0x40 && r->topic.format == FORMAT_OUTBOX
                          ? &columns[bits >> 7]
                          : NULL;
    r->topic.name = topics[(bits >> 1) & 1];
    r->source.settings = &r->topic;
    r->source.n_topics = 1;
    for (uint32_t i = 0; i < 2 * MOST; i++) {
        r->records[i].topic = topics[(bits >> 1) & 1];
        r->records[i].time_ms = 1700000000000;
    }
}

static void take_records(struct run *r, struct input *in)
{
    while (r->n < MOST && input_piece(in, &r->pieces[r->n][0])) {
        struct piece *p = r->pieces[r->n];
        struct record *rec = &r->records[r->n++];

        input_piece(in, &p[1]);
        input_piece(in, &p[2]);
        rec->key = p[0].p;
        rec->key_len = (uint32_t)p[0].len;
        rec->value = p[1].p;
        rec->value_len = (uint32_t)p[1].len;
        rec->message = &p[2];
    }
    memcpy(&r->records[r->n], r->records, r->n * sizeof(*r->records));
}

/* Decodes with the first [n_paths] wanted from the start. */
static void decode(struct run *r, uint32_t n_paths)
{
    memset(&r->view, 0, sizeof(r->view));
    r->ev = (struct events){
        .view = &r->view, .records = r->records, .arena = &r->arena};
    r->d = decoder_new(&r->source, find_header);
    for (uint32_t i = 0; i < n_paths; i++) {
        r->nodes[i] = decoder_path(r->d, PATHS[i]);
    }
    events_prepare(&r->ev, r->d, 2 * r->n);
    decoder_run(r->d, &r->ev, 0, 2 * r->n);
}

static bool is_ok(const struct events *ev, uint32_t i)
{
    return ev->states[i] == TM_EVENT_OK;
}

static const struct tm_cell *cell_of(const struct run *r, uint32_t path,
                                     uint32_t event)
{
    return &r->ev.columns[r->nodes[path]][event];
}

static void check_event(struct run *r, uint32_t i)
{
    const struct record *rec = &r->records[i];
    const struct events *ev = &r->ev;
    size_t len;

    if (ev->states[i] == TM_EVENT_FAILED) {
        oracle_message(ev->reasons[i]);
    }
    must(ev->types[i] == 0 || decoder_type_name(r->d, ev->types[i], &len));
    must(!ev->ops[i] || strchr("crudt", ev->ops[i]));
    must(!is_ok(ev, i) || !rec->value ||
         grammar_of(rec->value, rec->value_len) != GRAMMAR_NOT);
    for (uint32_t path = 0; is_ok(ev, i) && path < N_PATHS; path++) {
        oracle_cell(cell_of(r, path, i));
    }
}

/* The second time around schemas are known. */
static void check_repeated(struct run *r, uint32_t i)
{
    const struct events *ev = &r->ev;
    uint32_t again = i + r->n;

    must(ev->states[i] == ev->states[again]);
    must(ev->ops[i] == ev->ops[again] && ev->types[i] == ev->types[again]);
    must(ev->flags[i] == ev->flags[again]);
    must(ev->times_ms[i] == ev->times_ms[again]);
    for (uint32_t path = 0; is_ok(ev, i) && path < N_PATHS; path++) {
        must(oracle_is_same(cell_of(r, path, i), cell_of(r, path, again)));
    }
}

static void check_columns(struct run *r, uint32_t i)
{
    struct convert_rules rules = convert_rules_of(&r->topic);

    rules.has_schema = r->ev.flags[i] & EVENT_HAS_SCHEMA;
    for (uint32_t path = 0; is_ok(&r->ev, i) && path < N_PATHS; path++) {
        oracle_columns(cell_of(r, path, i), &rules, &r->arena);
    }
}

/* Fields that a handler touches first when the batch is decoded already. A
 * record that can be read so far may fail now: half a surrogate pair is JSON,
 * but cannot be read. */
static void check_late(struct run *early, struct run *late)
{
    for (uint32_t path = LATE; path < N_PATHS; path++) {
        late->nodes[path] = decoder_path(late->d, PATHS[path]);
        decoder_column(late->d, &late->ev, late->nodes[path]);
    }
    for (uint32_t i = 0; i < early->n; i++) {
        bool both = is_ok(&early->ev, i) && is_ok(&late->ev, i);

        check_event(late, i);
        must(!is_ok(&early->ev, i) || is_ok(&late->ev, i));
        for (uint32_t path = 0; both && path < N_PATHS; path++) {
            must(oracle_is_same(cell_of(early, path, i),
                                cell_of(late, path, i)));
        }
    }
}

static void close_run(struct run *r)
{
    for (uint32_t i = 0; i < r->n; i++) {
        for (int k = 0; k < 3; k++) {
            free(r->pieces[i][k].p);
        }
    }
    decoder_free(r->d);
    arena_close(&r->arena);
}

static void open_run(struct run *r, const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    memset(r, 0, sizeof(*r));
    arena_init(&r->arena, 0);
    choose(r, &in);
    take_records(r, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run early, late;

    open_run(&early, data, size);
    decode(&early, N_PATHS);
    for (uint32_t i = 0; i < 2 * early.n; i++) {
        check_event(&early, i);
    }
    for (uint32_t i = 0; i < early.n; i++) {
        check_repeated(&early, i);
        check_columns(&early, i);
    }
    open_run(&late, data, size);
    decode(&late, LATE);
    check_late(&early, &late);
    close_run(&late);
    close_run(&early);
    return 0;
}

/*
 * One JSON document: read whole, and walked for a few fields. Both must agree
 * on what they read, and what is taken is what the grammar allows: the whole of
 * it, wherever the fields are. Only half a surrogate pair, and more than a
 * thousand levels, are refused where they are read and may pass elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "decode/envelope/decoder.h"
#include "decode/json/tokens.h"
#include "grammar.h"
#include "input.h"
#include "oracle.h"

enum { N_PATHS = 8 };

static bool no_header(void *message, const char *name,
                      struct record_header *out)
{
    (void)message, (void)name, (void)out;
    return false;
}

static const struct tm_cell *walked(const struct events *ev, int node)
{
    return &ev->columns[node][0];
}

static void check_tokens(const struct tm_cell *cells, uint32_t n)
{
    must(n > 0 && tokens_behind(cells) == cells + n);
    for (uint32_t i = 0; i < n; i++) {
        if (cells[i].tag != TM_OBJECT && cells[i].tag != TM_ARRAY) {
            oracle_cell(&cells[i]);
        }
    }
}

/* Containers are told apart by what they hold, which tokens do not say. */
static void check_field(const struct tm_cell *object, const char *name,
                        const struct tm_cell *cell)
{
    const struct tm_cell *token = tokens_member(object, name);

    if (!token) {
        must(cell->tag == TM_MISSING);
    } else if (token->tag == TM_OBJECT || token->tag == TM_ARRAY) {
        must(cell->tag == token->tag);
    } else {
        must(oracle_is_same(token, cell));
    }
}

/* The first item, and of that the field "a.b". */
static void check_item(const struct tm_cell *tokens, const struct tm_cell *item,
                       const struct tm_cell *field)
{
    const struct tm_cell *first = tokens->tag == TM_ARRAY ? tokens + 1 : NULL;
    bool has_any = first && tokens_behind(tokens) > first;

    must(has_any == (item->tag != TM_MISSING));
    if (has_any && first->tag == TM_OBJECT) {
        must(item->tag == TM_OBJECT);
        check_field(first, "a.b", field);
    } else {
        must(field->tag == TM_MISSING);
        must(!has_any || first->tag == TM_ARRAY
                 ? !has_any || item->tag == TM_ARRAY
                 : oracle_is_same(first, item));
    }
}

static void check_walk(struct decoder *d, struct events *ev,
                       const int nodes[N_PATHS], const struct tm_cell *tokens)
{
    static const struct convert_rules rules = {.format = FORMAT_JSON};

    for (int i = 0; i < N_PATHS; i++) {
        oracle_cell(walked(ev, nodes[i]));
        oracle_columns(walked(ev, nodes[i]), &rules, ev->arena);
    }
    (void)d;
    if (tokens && tokens->tag == TM_OBJECT) {
        check_field(tokens, "a", walked(ev, nodes[1]));
        check_field(tokens, "id", walked(ev, nodes[2]));
    }
    if (tokens) {
        check_item(tokens, walked(ev, nodes[4]), walked(ev, nodes[5]));
    }
}

static void check_grammar(enum grammar g, uint8_t state,
                          const struct tm_cell *tokens)
{
    must(state == TM_EVENT_OK || g != GRAMMAR_JSON);
    must(state != TM_EVENT_OK || g != GRAMMAR_NOT);
    must(tokens || g != GRAMMAR_JSON);
    must(!tokens || g != GRAMMAR_NOT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct plan_topic topic = {.name = "t", .format = FORMAT_JSON};
    static const struct plan_source source = {.settings = &topic,
                                              .n_topics = 1};
    static const char *const paths[N_PATHS] = {
        "data",    "data.a",         "data.id",     "data.a.b.c",
        "data[1]", "data[1]['a.b']", "data.a[2].b", "data.a[1][3]"};
    struct record rec = {
        .value = (const char *)data, .value_len = (uint32_t)size, .topic = "t"};
    const struct tm_cell *tokens = NULL;
    uint32_t n;
    struct arena a;
    struct tm_batch view = {0};
    struct events ev = {.view = &view, .records = &rec, .arena = &a};
    int nodes[N_PATHS];

    arena_init(&a, 0);
    struct decoder *d = decoder_new(&source, no_header);
    if (decoder_tokens(d, &a, rec.value, size, &tokens, &n) == 0) {
        check_tokens(tokens, n);
    } else {
        tokens = NULL;
    }
    for (int i = 0; i < N_PATHS; i++) {
        nodes[i] = decoder_path(d, paths[i]);
    }
    events_prepare(&ev, d, 1);
    decoder_run(d, &ev, 0, 1);
    check_grammar(grammar_of(rec.value, size), ev.states[0], tokens);
    if (ev.states[0] == TM_EVENT_OK) {
        check_walk(d, &ev, nodes, tokens);
    } else {
        must(!tokens && ev.states[0] == TM_EVENT_FAILED);
        oracle_message(ev.reasons[0]);
    }
    decoder_free(d);
    arena_close(&a);
    return 0;
}

/*
 * The event half of model/api.h: what handlers read. A batch's columns are made
 * by decode/; here are the column faults, and what is asked for too rarely to
 * have a column.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/batch/batch.h"

/* Each decodes the whole batch once more: fields that are asked for behind
 * these get their columns with the next batch. */
enum { FAULTS_MOST = 64 };

static struct batch *batch_of(struct tm_batch *view)
{
    return list_item(view, struct batch, input.view);
}

static int say(struct tm_batch *view, enum err_class class, const char *why)
{
    snprintf(view->error, sizeof(view->error), "%s", why);
    view->error_class = (int32_t) class;
    return -1;
}

const char *tm_type_name(struct tm_batch *view, uint32_t type, size_t *len)
{
    return decoder_type_name(batch_of(view)->generation->decoder, type, len);
}

int tm_column(struct tm_batch *view, int node)
{
    struct batch *b = batch_of(view);

    b->input.n_faults++;
    decoder_set_header(b->generation->decoder, b->input.header);
    if (decoder_column(b->generation->decoder, &b->input.events, node)) {
        return 0;
    }
    b->failures.has_unread = true;
    view->current = -1;
    return say(view, ERR_DATA, "a record of this batch cannot be read");
}

static bool has_column(const struct tm_batch *view, int node)
{
    return (uint32_t)node < view->n_nodes && view->columns[node];
}

static void tell_loose(struct batch *b, int parent)
{
    uint32_t columns = decoder_must_tell(b->generation->decoder, parent);
    bool is_all = columns > PATH_VARIED;

    if (columns) {
        log_line(LOG_WARN,
                 is_all ? "handlers ask for more different fields than get "
                          "columns: the others are looked up, each in its event"
                        : "handlers ask an object for more different fields "
                          "than get columns: the others are looked up, each in "
                          "its event",
                 "%s=%s columns=%u hint=%s", is_all ? "last" : "object",
                 log_quote(decoder_text(b->generation->decoder, parent,
                                        &b->memory.scratch)),
                 columns,
                 log_quote("their names come out of the data; where a handler "
                           "goes through many of them, view:table() reads the "
                           "object once"));
    }
}

/* Where the parent has no column yet it gets one: its JSON is looked into. */
static int look_up(struct tm_batch *view, uint32_t event, int parent,
                   const char *name, size_t len)
{
    struct batch *b = batch_of(view);

    if (parent < TM_LOOSE && !has_column(view, parent) &&
        tm_column(view, parent) < 0) {
        return -1;
    }
    decoder_set_header(b->generation->decoder, b->input.header);
    return decoder_look(b->generation->decoder, &b->input.events, event, parent,
                        name, len);
}

int tm_field(struct tm_batch *view, uint32_t event, int parent,
             const char *name, size_t len, int is_written)
{
    struct batch *b = batch_of(view);
    enum path_name is = is_written == 0  ? PATH_NAME_UNKNOWN
                        : is_written > 0 ? PATH_NAME_WRITTEN
                                         : PATH_NAME_VARIES;

    must(event < view->n_events);
    if (parent >= TM_LOOSE) {
        return look_up(view, event, parent, name, len);
    }
    int node = decoder_learn(b->generation->decoder, parent, name, len, is);
    if (node == PATH_CROWDED) {
        return TM_CROWDED;
    }
    if (node < 0) {
        tell_loose(b, parent);
    } else if (has_column(view, node)) {
        return node;
    } else if (b->input.n_faults < FAULTS_MOST) {
        return tm_column(view, node) < 0 ? -1 : node;
    }
    return look_up(view, event, parent, name, len);
}

const struct tm_cell *tm_loose(struct tm_batch *view, uint32_t event, int field)
{
    struct batch *b = batch_of(view);

    decoder_set_header(b->generation->decoder, b->input.header);
    return decoder_loose(b->generation->decoder, &b->input.events, event,
                         field);
}

void tm_unreadable(struct tm_batch *view, const struct tm_cell *cell)
{
    struct batch *b = batch_of(view);
    const char *place = decoder_place(b->generation->decoder, &b->input.events,
                                      cell, &b->memory.scratch);

    /* The key alone is handed out as a copy: see tm_meta(). */
    snprintf(view->error, sizeof(view->error), "event.%.200s %s: %.250s",
             place ? place : "key",
             cell->scale ? "does not fit its schema" : "cannot be read",
             cell->p);
    view->error_class = ERR_DATA;
    b->failures.unreadable =
        arena_dup(&b->memory.said, view->error, strlen(view->error));
}

static void set_text(struct tm_cell *out, const char *p, size_t len)
{
    *out = (struct tm_cell){
        .p = p, .len = (uint32_t)len, .tag = p ? TM_TEXT : TM_NULL};
}

static void set_int(struct tm_cell *out, int64_t i)
{
    *out = (struct tm_cell){.i = i, .tag = TM_INT};
}

static void record_id(struct batch *b, const struct record *rec,
                      struct tm_cell *out)
{
    struct record_header h;

    if (b->input.header(rec->message, "id", &h) && h.value) {
        set_text(out, h.value, h.len);
    } else {
        const char *id =
            arena_printf(&b->memory.scratch, "%s/%d/%lld", rec->topic,
                         rec->partition, (long long)rec->offset);

        set_text(out, id, strlen(id));
    }
}

static int root_cell(struct tm_batch *view, int root, uint32_t event,
                     struct tm_cell *out)
{
    if (!view->columns[root] && tm_column(view, root) < 0) {
        return -1;
    }
    *out = view->columns[root][event];
    return 0;
}

static int event_id(struct batch *b, uint32_t event, struct tm_cell *out)
{
    if (!decoder_holds_id(b->generation->decoder,
                          b->input.events.topics[event])) {
        record_id(b, &b->input.records[event], out);
        return 0;
    }
    return root_cell(&b->input.view, TM_NODE_ID, event, out);
}

static int type_of(struct batch *b, uint32_t event, struct tm_cell *out)
{
    size_t len;
    const char *name = decoder_event_type(b->generation->decoder,
                                          &b->input.events, event, &len);

    set_text(out, name, len);
    return 0;
}

int tm_meta(struct tm_batch *view, uint32_t event, int what,
            struct tm_cell *out)
{
    struct batch *b = batch_of(view);
    const struct record *rec = &b->input.records[event];

    must(event < view->n_events);
    switch (what) {
    case TM_META_KEY:
        return root_cell(view, TM_NODE_KEY, event, out);
    case TM_META_ID:
        return event_id(b, event, out);
    case TM_META_TIME:
        set_int(out, b->input.events.times_ms[event]);
        return 0;
    case TM_META_TOPIC:
        set_text(out, rec->topic, strlen(rec->topic));
        return 0;
    case TM_META_PARTITION:
        set_int(out, rec->partition);
        return 0;
    case TM_META_TYPE:
        return type_of(b, event, out);
    default:
        set_int(out, rec->offset);
        return 0;
    }
}

int tm_header(struct tm_batch *view, uint32_t event, const char *name,
              size_t len, struct tm_cell *out)
{
    struct batch *b = batch_of(view);
    struct record_header h;
    char text[256], *key = text;

    must(event < view->n_events);
    out->tag = TM_MISSING;
    if (memchr(name, '\0', len)) {
        return 0; /* no name has one */
    }
    if (len < sizeof(text)) {
        memcpy(text, name, len);
        text[len] = '\0';
    } else {
        key = mem_dup(name);
    }
    if (b->input.header(b->input.records[event].message, key, &h)) {
        set_text(out, h.value, h.len);
    }
    if (key != text) {
        free(key);
    }
    return 0;
}

int tm_json(struct tm_batch *view, const char *json, size_t len,
            const struct tm_cell **out, uint32_t *n_out)
{
    struct batch *b = batch_of(view);
    const char *copy;

    if (b->memory.limit.is_over) {
        return say(view, ERR_SCRIPT, rows_made_too_much);
    }
    /* The text may be Lua's: tokens point into a copy that stays. */
    copy = arena_dup(&b->memory.scratch, json, len);

    if (decoder_tokens(b->generation->decoder, &b->memory.scratch, copy, len,
                       out, n_out) < 0) {
        /* All else that is no JSON was found when the record was read. */
        return say(
            view, ERR_DATA,
            "a text in it is no text of UTF-8 (half of a surrogate pair, "
            "such as \\ud83d alone): let the producer write whole "
            "characters");
    }
    return 0;
}

/*
 * The event half of base/api.h: what handlers read. A batch's columns are made
 * by decode/; here are the column faults, and what is asked for too rarely to
 * have a column.
 */
#include <stdio.h>
#include <string.h>

#include "flow/batch.h"

static struct batch *batch_of(struct tm_batch *view)
{
    return list_item(view, struct batch, view);
}

static int say(struct tm_batch *view, enum err_class class, const char *why)
{
    snprintf(view->error, sizeof(view->error), "%s", why);
    view->error_class = (int32_t) class;
    return -1;
}

const char *tm_type_name(struct tm_batch *view, uint32_t type, size_t *len)
{
    return decoder_type_name(batch_of(view)->decoder, type, len);
}

int tm_column(struct tm_batch *view, int node)
{
    struct batch *b = batch_of(view);

    b->n_faults++;
    decoder_set_header(b->decoder, b->header);
    if (decoder_column(b->decoder, &b->events, node)) {
        return 0;
    }
    b->has_unread = true;
    view->current = -1;
    return say(view, ERR_DATA, "a record of this batch cannot be read");
}

int tm_field(struct tm_batch *view, int parent, const char *name, size_t len)
{
    struct batch *b = batch_of(view);
    int node = decoder_field(b->decoder, parent, name, len);

    if (node < 0) {
        say(view, ERR_SCRIPT,
            "this field cannot be read: at most 4096 different fields can, 64 "
            "deep, with names of 65535 bytes; read the object that has it with "
            "view:table()");
        return TM_NO_FIELD;
    }
    if ((uint32_t)node < view->n_nodes && view->columns[node]) {
        return node;
    }
    return tm_column(view, node) < 0 ? -1 : node;
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

    if (b->header(rec->message, "id", &h) && h.value) {
        set_text(out, h.value, h.len);
    } else {
        const char *id = arena_printf(&b->arena, "%s/%d/%lld", rec->topic,
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
    if (!decoder_holds_id(b->decoder, b->events.topics[event])) {
        record_id(b, &b->records[event], out);
        return 0;
    }
    return root_cell(&b->view, TM_NODE_ID, event, out);
}

int tm_meta(struct tm_batch *view, uint32_t event, int what,
            struct tm_cell *out)
{
    struct batch *b = batch_of(view);
    const struct record *rec = &b->records[event];

    must(event < view->n_events);
    switch (what) {
    case TM_META_KEY:
        return root_cell(view, TM_NODE_KEY, event, out);
    case TM_META_ID:
        return event_id(b, event, out);
    case TM_META_TIME:
        set_int(out, b->events.times_ms[event]);
        return 0;
    case TM_META_TOPIC:
        set_text(out, rec->topic, strlen(rec->topic));
        return 0;
    case TM_META_PARTITION:
        set_int(out, rec->partition);
        return 0;
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
    char text[256];
    const char *key = text;

    must(event < view->n_events);
    out->tag = TM_MISSING;
    if (memchr(name, '\0', len)) {
        return 0; /* no name has one */
    }
    if (len < sizeof(text)) {
        memcpy(text, name, len);
        text[len] = '\0';
    } else {
        key = arena_dup(&b->arena, name, len);
    }
    if (b->header(b->records[event].message, key, &h)) {
        set_text(out, h.value, h.len);
    }
    return 0;
}

int tm_json(struct tm_batch *view, const char *json, size_t len,
            const struct tm_cell **out, uint32_t *n_out)
{
    struct batch *b = batch_of(view);
    /* The text may be Lua's: tokens point into a copy that stays. */
    const char *copy = arena_dup(&b->arena, json, len);

    if (decoder_tokens(b->decoder, &b->arena, copy, len, out, n_out) < 0) {
        return say(view, ERR_DATA, "not JSON");
    }
    return 0;
}

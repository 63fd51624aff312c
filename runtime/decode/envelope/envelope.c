/* What all envelope formats share; see envelope.h. */
#include "decode/envelope/envelope.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "decode/json/text.h"
#include "decode/json/walk_node.h"

bool reader_fail(struct reader *r, const char *format, ...)
{
    char text[600];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    r->reason = arena_printf(r->walk.arena, "%s", text);
    return false;
}

bool reader_misfit(struct reader *r, const char *reason)
{
    r->is_misfit = true;
    return reader_fail(r, "%s", reason);
}

bool reader_skip(struct reader *r)
{
    r->facts.state = TM_EVENT_SKIPPED;
    return true;
}

/* Serializers that work with a schema registry put a zero byte in front. */
static const char *hint(const struct walk *w, const char *start)
{
    static const char bom[] = "\xEF\xBB\xBF", printed[] = "Struct{";

    if (w->len > 0 && start[0] == '\0') {
        return "; it looks like Avro or Protobuf of a schema registry, which "
               "is not supported: use a JSON converter";
    }
    if (w->len >= 3 && memcmp(start, bom, 3) == 0) {
        return "; it begins with a byte order mark, which JSON must not have";
    }
    if (w->len > sizeof(printed) &&
        memcmp(start, printed, strlen(printed)) == 0) {
        return "; it is a row that was printed as text: let the connector "
               "write JSON (org.apache.kafka.connect.json.JsonConverter in "
               "place of StringConverter)";
    }
    return w->fault == WALK_NOT_UTF8 ? ": let the producer write UTF-8" : "";
}

/* The text at which the walk stands is JSON, and no text of UTF-8. Its field is
 * named: the column is the one that is made of it. */
static bool half_pair(struct reader *r, const char *what, size_t at)
{
    const struct walk *w = &r->walk;
    uint32_t i = w->i;
    const char *name = "", *end = name;

    if (i >= 2 && i < w->n && w->p[w->at[i - 1]] == ':') {
        name = w->p + w->at[i - 2] + 1;
        end = memchr(name, '"', (size_t)(w->p + w->at[i - 1] - name));
    }
    return reader_fail(r,
                       "%s holds %s, at byte %zu%s%.*s: let the producer write "
                       "whole characters",
                       what, w->fault, at, end > name ? " in the field " : "",
                       end && end > name ? (int)(end - name) : 0, name);
}

bool reader_bad_json(struct reader *r, const char *what)
{
    const struct walk *w = &r->walk;
    size_t at = w->fault_at + (size_t)(w->p - r->start);

    if (w->is_misfit) {
        return reader_fail(r, "%s does not fit its schema: %s, at byte %zu",
                           what, w->fault, at);
    }
    if (w->fault == WALK_HALF_PAIR) {
        return half_pair(r, what, at);
    }
    return reader_fail(r, "%s is not JSON: %s, at byte %zu%s", what, w->fault,
                       at, hint(w, r->start));
}

bool reader_type(struct reader *r, const char *p, size_t len)
{
    r->facts.type = (uint16_t)types_number(&r->types, p, len);
    r->facts.type_name = p;
    r->facts.type_len = (uint32_t)len;
    return true;
}

bool reader_document(struct reader *r, const struct tm_cell *text)
{
    struct walk *w = &r->walk;

    r->start = text->p;
    return (walk_open(w, text->p, text->len) &&
            walk_node(w, TM_NODE_DATA, NULL) && walk_end(w)) ||
           reader_bad_json(r, "the text in the value");
}

/* It is a text, or a boolean behind other transforms. */
static bool is_deleted_mark(const struct tm_cell *mark)
{
    return text_is(mark, "true") || (mark->tag == TM_BOOL && mark->i);
}

static bool is_unsaid(const struct tm_cell *c)
{
    return c->tag == TM_MISSING || c->tag == TM_NULL;
}

bool reader_deletion(struct reader *r, const struct tm_cell *mark,
                     const struct tm_cell *op, bool *is_deleted)
{
    bool is_d = text_is(op, "d");

    *is_deleted = is_deleted_mark(mark) || is_d;
    if (is_unsaid(mark)) {
        return true;
    }
    if (mark->tag != TM_BOOL && !text_is(mark, "true") &&
        !text_is(mark, "false")) {
        return reader_fail(r, "__deleted of this flattened row is neither true "
                              "nor false");
    }
    return is_unsaid(op) || is_d == is_deleted_mark(mark) ||
           reader_fail(r, "__deleted and __op of this flattened row "
                          "contradict each other: only one of them says that "
                          "the row was deleted");
}

void reader_forget(struct reader *r)
{
    for (int root = 0; root < TM_ROOTS; root++) {
        struct tm_cell *cell = walk_cell(&r->walk, root);

        if (root == TM_NODE_KEY) {
            continue;
        }
        if (cell) {
            cell->tag = TM_MISSING;
        }
        walk_clear(&r->walk, root);
    }
}

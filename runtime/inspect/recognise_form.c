/*
 * In how many ways the record keys of a topic are written; see
 * recognise_part.h. Kafka knows a key by its bytes: {"id":1} and {"id": 1}, the
 * fields in another order, or the same behind a schema may be in two
 * partitions. Each way alone is right, so no record shows it, and a run cannot.
 */
#include <string.h>

#include "inspect/recognise_part.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_name(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    return p < end && *p == ':';
}

/* Behind the text that begins at [p]. */
static const char *skip_text(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        p += *p == '\\';
    }
    return p < end ? p + 1 : end;
}

/* Names stay, values become their kind. */
static const char *put_value(const char *p, const char *end, struct buf *out)
{
    const char *from = p;

    if (*p == '"') {
        p = skip_text(p, end);
        if (is_name(p, end)) {
            buf_put(out, from, (size_t)(p - from));
        } else {
            buf_puts(out, "\"…\"");
        }
        return p;
    }
    do {
        p++;
    } while (p < end && !is_blank(*p) && *p != ',' && *p != '}' && *p != ']');
    buf_puts(out, *from == 't' || *from == 'f' || *from == 'n' ? "null" : "1");
    return p;
}

static bool is_mark(char c)
{
    return is_blank(c) || (c && strchr("{}[]:,", c));
}

/* The bytes of a key without its values: {"id": 1}. */
static const char *form_of(struct looking *k, const struct sight *s)
{
    const struct record *r = s->record;
    const char *p = r->key, *end = r->key + r->key_len;
    struct buf out = {0};

    while (p < end && is_blank(*p)) {
        p++;
    }
    if (!s->key || p == end || (*p != '{' && *r->key != '"')) {
        return "text";
    }
    for (p = r->key; p < end;) {
        if (is_mark(*p)) {
            buf_put(&out, p++, 1);
        } else {
            p = put_value(p, end, &out);
        }
    }
    const char *form = arena_dup(k->arena, out.data, out.len);
    buf_close(&out);
    return form;
}

static bool needs_row_keys(const struct looking *k)
{
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        if (plan_is_keyed_by_record(k->q->projections[i])) {
            return true;
        }
    }
    return false;
}

static void find_forms(struct looking *k, const struct sight *s,
                       const char *one, const char *other)
{
    find_warning(k, s,
                 arena_printf(k->arena,
                              "record keys are written in several ways, such "
                              "as %.100s and %.100s: Kafka may put records of "
                              "one row into two partitions, where their order "
                              "is lost",
                              one, other),
                 "let everybody write keys in one way, and change it only with "
                 "a new topic");
}

void judge_forms(struct looking *k)
{
    const char *first = NULL;

    for (uint32_t i = 0; needs_row_keys(k) && i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!sight_is_applied(s) || !s->record->key || s->is_passed) {
            continue;
        }
        const char *form = form_of(k, s);
        if (first && strcmp(first, form) != 0) {
            find_forms(k, s, first, form);
            return;
        }
        first = form;
    }
}

/* Whether projections know the types of a topic's events; see
 * recognise_part.h. */
#include <string.h>

#include "inspect/recognise_part.h"

enum { TYPES_SEEN_MOST = 60 };

/* "data.kind.name" below the value. */
static const struct tm_cell *
field_at(struct looking *k, const struct tm_cell *value, const char *path)
{
    const char *name = strchr(path, '.');

    while (value && name) {
        const char *next = strchr(++name, '.');
        size_t len = next ? (size_t)(next - name) : strlen(name);

        value = tokens_member(value, arena_dup(k->arena, name, len));
        name = next;
    }
    return value;
}

static const char *text_of(struct looking *k, const struct tm_cell *c)
{
    return c && c->tag == TM_TEXT ? arena_dup(k->arena, c->p, c->len) : NULL;
}

/* The type of its event; NULL: it has none, or is no event. */
static const char *type_of(struct looking *k, const struct sight *s)
{
    const struct plan_topic *t = k->q->topic;
    struct record_header h;

    if (t->format == FORMAT_DEBEZIUM) {
        return s->op && is_row(s->shape) ? arena_dup(k->arena, &s->op, 1)
                                         : NULL;
    }
    if (t->outbox) {
        return s->row ? text_of(k, tokens_member(s->row, t->outbox->type))
                      : NULL;
    }
    if (t->format == FORMAT_OUTBOX) {
        return s->has_type &&
                       k->q->header(s->record->message, t->type_header, &h)
                   ? arena_dup(k->arena, h.value, h.len)
                   : NULL;
    }
    return t->type_path && s->value
               ? text_of(k, field_at(k, s->value, t->type_path))
               : NULL;
}

static bool is_among(const char *const *list, uint32_t n, const char *word)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(list[i], word) == 0) {
            return true;
        }
    }
    return false;
}

void types_seen(struct looking *k, struct names *out)
{
    out->list = arena_alloc(k->arena, TYPES_SEEN_MOST * sizeof(char *));
    for (uint32_t i = 0; i < k->n && out->n < TYPES_SEEN_MOST; i++) {
        const char *type = type_of(k, &k->sights[i]);

        if (type && !is_among(out->list, out->n, type)) {
            out->list[out->n++] = type;
        }
    }
}

static const struct sight *last_with(struct looking *k, const char *type)
{
    const struct sight *found = NULL;

    for (uint32_t i = 0; i < k->n; i++) {
        const char *its = type_of(k, &k->sights[i]);

        if (its && strcmp(its, type) == 0) {
            found = &k->sights[i];
        }
    }
    return found;
}

/* A truncate is no event that a handler must know. */
static bool is_truncate(const struct looking *k, const char *type)
{
    return k->q->topic->format == FORMAT_DEBEZIUM && strcmp(type, "t") == 0;
}

static bool knows(const struct plan_projection *p, const char *type)
{
    return !p->types || is_among(p->types, p->n_types, type) ||
           is_among(p->ignore, p->n_ignore, type);
}

static bool is_known(const struct looking *k, const char *type)
{
    if (is_truncate(k, type)) {
        return true;
    }
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        if (knows(k->q->projections[i], type)) {
            return true;
        }
    }
    return k->q->n_projections == 0;
}

/* Every type that has a handler. */
static void handled(struct looking *k, struct names *out)
{
    out->list = arena_alloc(k->arena, TYPES_SEEN_MOST * sizeof(char *));
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        const struct plan_projection *p = k->q->projections[i];

        for (uint32_t t = 0; t < p->n_types && out->n < TYPES_SEEN_MOST; t++) {
            if (!is_among(out->list, out->n, p->types[t])) {
                out->list[out->n++] = p->types[t];
            }
        }
    }
}

static void find_none_handled(struct looking *k, const struct names *seen,
                              const struct names *wanted)
{
    find_warning(
        k, NULL,
        arena_printf(k->arena,
                     "no projection has a handler for any type that was seen: "
                     "%s",
                     names_text(k, seen)),
        k->q->topic->format == FORMAT_DEBEZIUM
            ? "handlers of change events are named by the operation: c, u, d "
              "and r (a row of a snapshot); on = function(row, event) takes "
              "all of them"
            : arena_printf(k->arena, "the handlers are for: %s",
                           names_text(k, wanted)));
}

/* A header that JsonConverter wrote is JSON. */
static void judge_quotes(struct looking *k, const char *type)
{
    size_t len = strlen(type);

    if (len > 2 && type[0] == '"' && type[len - 1] == '"' &&
        !is_known(k, type)) {
        find_warning(k, last_with(k, type),
                     arena_printf(k->arena,
                                  "the type %s is in quotes, which are part of "
                                  "it: the connector writes headers as JSON",
                                  type),
                     arena_printf(k->arena,
                                  "set header.converter=org.apache.kafka."
                                  "connect.storage.SimpleHeaderConverter at "
                                  "the connector; for records that are there "
                                  "already name handlers with quotes: "
                                  "on['%s']",
                                  type));
    }
}

void judge_types(struct looking *k)
{
    struct names seen = {0}, wanted = {0};
    uint32_t n_known = 0;

    types_seen(k, &seen);
    handled(k, &wanted);
    for (uint32_t i = 0; i < seen.n; i++) {
        n_known += is_known(k, seen.list[i]);
    }
    if (seen.n > 0 && n_known == 0) {
        find_none_handled(k, &seen, &wanted);
    }
    for (uint32_t i = 0; i < seen.n; i++) {
        judge_quotes(k, seen.list[i]);
    }
    for (uint32_t i = 0; i < seen.n; i++) {
        const char *hint = names_hint(k, &wanted, seen.list[i]);

        if (!is_known(k, seen.list[i]) && *hint) {
            find_warning(k, last_with(k, seen.list[i]),
                         arena_printf(k->arena,
                                      "no projection has a handler for the "
                                      "type '%s'",
                                      seen.list[i]),
                         arena_printf(k->arena,
                                      "name it in `ignore` if it does not "
                                      "matter%s",
                                      hint));
        }
    }
}

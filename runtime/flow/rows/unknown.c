/* See unknown.h. */
#include "flow/rows/unknown.h"

#include <string.h>

#include "base/log.h"
#include "base/nearest.h"

/* More types than this are no types: nobody reads that many lines. */
enum { LOGGED_MOST = 100 };

static const char *in_quotes(const struct plan_projection *p, const char *type,
                             size_t len, struct arena *a)
{
    const char *bare = arena_dup(a, type + 1, len - 2);
    const char *near = nearest_word(bare, p->types, p->n_types);

    return arena_printf(
        a,
        "the quotes are part of the type: the connector writes headers as "
        "JSON. Set header.converter=org.apache.kafka.connect.storage."
        "SimpleHeaderConverter there; records that are in the topic already "
        "need a handler with quotes in its name: on['%s']%s",
        type, near ? arena_printf(a, " beside %s", near) : "");
}

/* What may be meant by a type that is not known: words to add, or "-". Arena. */
static const char *hint_of(const struct plan_projection *p, const char *type,
                           struct arena *a)
{
    size_t len = strlen(type);
    const char *near = nearest_word(type, p->types, p->n_types);

    if (len > 2 && type[0] == '"' && type[len - 1] == '"') {
        return in_quotes(p, type, len, a);
    }
    return near ? arena_printf(a, "did you mean '%s'?", near) : "-";
}

/* Of a table: quoted only where the line could not be read otherwise. */
static const char *shown(const char *table)
{
    return strpbrk(table, " \t\n\"\\=") ? log_quote(table) : table;
}

static void tell(struct program *g, const struct decoder *d, uint32_t number,
                 struct arena *a)
{
    size_t len = 0;
    const char *name = decoder_type_name(d, number, &len);
    const char *type = name ? arena_dup(a, name, len) : "none";

    g->types[number] = TYPE_LOGGED;
    g->n_unlogged--;
    if (++g->n_logged > LOGGED_MOST) {
        return;
    }
    log_line(LOG_WARN,
             "events are passed by, since the projection has no handler for "
             "their type: add one, or name the type in `ignore`",
             "projection=%s type=%s hint=%s", shown(g->plan->table),
             log_quote(type),
             log_quote(g->n_logged == LOGGED_MOST
                           ? "other types are not logged any more"
                           : hint_of(g->plan, type, a)));
}

void unknown_tell(struct program *programs, uint32_t n, const struct decoder *d,
                  struct arena *a)
{
    for (uint32_t i = 0; i < n; i++) {
        struct program *g = &programs[i];

        for (uint32_t type = 0; g->n_unlogged > 0 && type < g->n_types;
             type++) {
            if (g->types[type] == TYPE_PASSED) {
                tell(g, d, type, a);
            }
        }
    }
}

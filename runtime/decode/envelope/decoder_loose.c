/* The fields of decoder.h that have no column: see lookup.h. */
#include "decode/envelope/decoder_part.h"

#include "base/err.h"

/* The members of a root are read as its columns would be, out of the record. */
static void collect_root(struct decoder *d, const struct events *ev,
                         uint32_t event, int root)
{
    struct lookup *l = &d->lookup;
    struct walk *w = &d->reader.walk;
    const struct record *rec = &ev->records[event];

    lookup_aim(l, root);
    d->topic = NULL;
    w->tree = &l->tree;
    w->columns = l->columns;
    w->n_columns = TM_ROOTS;
    w->arena = &l->arena;
    decoder_begin_record(&d->reader, 0);
    if (!decoder_read_again(d, rec, root == TM_NODE_KEY)) {
        members_clear(&l->members);
    }
}

/* Those of any other object are read out of its own JSON. */
static void collect_raw(struct decoder *d, const struct tm_cell *object)
{
    struct walk *w = &d->reader.walk;

    members_clear(&d->lookup.members);
    w->arena = &d->lookup.arena;
    if (object->tag == TM_OBJECT &&
        !(walk_open(w, object->p, object->len) && members_read(w, NULL))) {
        members_clear(&d->lookup.members);
    }
}

static void open_object(struct decoder *d, struct events *ev, uint32_t event,
                        int parent)
{
    if (lookup_is_open(&d->lookup, parent)) {
        return;
    }
    if (parent >= TM_LOOSE) {
        collect_raw(d, decoder_loose(d, ev, event, parent));
    } else if (parent < TM_ROOTS) {
        collect_root(d, ev, event, parent);
    } else {
        collect_raw(d, &ev->columns[parent][event]);
    }
    lookup_open(&d->lookup, parent);
}

int decoder_look(struct decoder *d, struct events *ev, uint32_t event,
                 int parent, const char *name, size_t len)
{
    must(event < ev->n);
    lookup_turn(&d->lookup, ev->view, event);
    if (parent != TM_LOOSE) { /* which has no members */
        open_object(d, ev, event, parent);
    }
    return lookup_find(&d->lookup, parent, name, len);
}

const struct tm_cell *decoder_loose(struct decoder *d, struct events *ev,
                                    uint32_t event, int field)
{
    struct lookup_field f;

    must(event < ev->n && field >= TM_LOOSE);
    lookup_turn(&d->lookup, ev->view, event);
    if (lookup_field(&d->lookup, field, &f)) {
        decoder_look(d, ev, event, f.parent, f.name, f.len);
    }
    return &d->lookup.last;
}

/* ---- units ---- */

static bool is_same(const struct tm_cell *a, const struct tm_cell *b)
{
    return a->tag == b->tag && a->i == b->i &&
           (a->tag == TM_INT || a->scale == b->scale);
}

static uint8_t hint_of(const struct events *ev, int node, uint32_t event,
                       const struct tm_cell *c)
{
    const struct tm_cell *known =
        (uint32_t)node < ev->cap_nodes && ev->columns[node]
            ? &ev->columns[node][event]
            : NULL;

    return known && known->hint >= TM_HINT_MILLIS && is_same(known, c)
               ? known->hint
               : (uint8_t)TM_HINT_NONE;
}

/* Only fields right below a root have units. */
static uint8_t hint_below(const struct decoder *d, const struct events *ev,
                          int root, uint32_t event, const struct tm_cell *c)
{
    const struct path_node *t = &d->tree.nodes[root];
    uint8_t hint = TM_HINT_NONE;

    for (uint32_t i = 0; i < t->n_children && !hint; i++) {
        hint = hint_of(ev, t->children[i].node, event, c);
    }
    return hint;
}

uint8_t decoder_hint(const struct decoder *d, const struct events *ev,
                     uint32_t event, const struct tm_cell *c)
{
    /* Else there are the times alone that Debezium itself writes. */
    bool is_known = ev->flags[event] & (EVENT_HAS_SCHEMA | EVENT_FLAT);
    uint8_t hint = TM_HINT_NONE;

    if (c->tag == TM_INT && c->i == ev->times_ms[event]) {
        return TM_HINT_MILLIS;
    }
    for (int root = is_known ? 0 : TM_NODE_SOURCE;
         root <= TM_NODE_SOURCE && !hint; root++) {
        hint = hint_below(d, ev, root, event, c);
    }
    return hint ? hint : lookup_hint(&d->lookup, ev->view, event, c);
}

/* ---- words ---- */

static const char *text_of(const struct decoder *d,
                           const struct lookup_field *f, struct arena *a)
{
    struct lookup_field parent;
    const char *text = lookup_field(&d->lookup, f->parent, &parent)
                           ? text_of(d, &parent, a)
                           : path_text(&d->tree, f->parent, a);

    return path_text_field(text, f->name, f->len, a);
}

const char *decoder_place(const struct decoder *d, const struct events *ev,
                          const struct tm_cell *cell, struct arena *a)
{
    if (cell == &d->lookup.last) {
        return text_of(d, &d->lookup.place, a);
    }
    for (uint32_t i = 0; i < ev->cap_nodes; i++) {
        const struct tm_cell *column = ev->columns[i];

        if (column && cell >= column && cell < column + ev->cap) {
            return path_text(&d->tree, (int)i, a);
        }
    }
    return NULL;
}

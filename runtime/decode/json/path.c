/* See path.h. */
#include "decode/json/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { NO_MARK = UINT32_MAX, FIRST_NODES = 64 };

/* What no name of a field can be, so that no field of an object is taken for an item. */
enum { ITEM_LEN = UINT32_MAX };

static void add_node(struct path *t, int parent, const char *name, uint32_t len,
                     uint32_t item)
{
    uint32_t at = t->n_nodes;

    if (at >= FIRST_NODES && (at & (at - 1)) == 0) {
        t->nodes = mem_grow(t->nodes, 2 * at * sizeof(*t->nodes));
    }
    t->nodes[at] = (struct path_node){
        .name = name,
        .len = len,
        .item = item,
        .parent = parent,
        .root = parent < 0 ? (int)at : t->nodes[parent].root,
        .depth = parent < 0 ? 0 : (uint16_t)(t->nodes[parent].depth + 1)};
    t->n_nodes++;
}

/* [child] becomes the last child of its parent. */
static void link_child(struct path *t, int child)
{
    const struct path_node *c = &t->nodes[child];
    struct path_node *p = &t->nodes[c->parent];
    bool plain = !c->item && !memchr(c->name, '\\', c->len);

    if ((p->n_children & (p->n_children - 1)) == 0) {
        uint32_t room = p->n_children ? 2 * p->n_children : 1;

        p->children = mem_grow(p->children, room * sizeof(*p->children));
    }
    p->children[p->n_children++] = (struct path_child){
        .mark = plain ? path_mark(c->name, c->len) : NO_MARK,
        .len = c->item ? ITEM_LEN : c->len,
        .item = c->item,
        .name = c->name,
        .node = child};
    p->has_items |= c->item > 0;
}

void path_init(struct path *t)
{
    memset(t, 0, sizeof(*t));
    arena_init(&t->arena, 0);
    t->nodes = mem_alloc(FIRST_NODES * sizeof(*t->nodes));
    for (int i = 0; i < TM_ROOTS; i++) {
        add_node(t, -1, "", 0, 0);
    }
}

void path_close(struct path *t)
{
    for (uint32_t i = 0; i < t->n_nodes; i++) {
        free(t->nodes[i].children);
    }
    free(t->nodes);
    arena_close(&t->arena);
}

int path_child(const struct path *t, int parent, const char *name, size_t len)
{
    must(parent >= 0 && (uint32_t)parent < t->n_nodes);
    const struct path_node *p = &t->nodes[parent];

    for (uint32_t i = 0; i < p->n_children; i++) {
        if (p->children[i].len == len &&
            memcmp(p->children[i].name, name, len) == 0) {
            return p->children[i].node;
        }
    }
    return -1;
}

static bool is_full(const struct path *t, int parent)
{
    return t->nodes[parent].depth >= PATH_DEEPEST || t->n_nodes >= PATH_NODES;
}

int path_field(struct path *t, int parent, const char *name, size_t len)
{
    int child = path_child(t, parent, name, len);

    if (child >= 0) {
        return child;
    }
    if (is_full(t, parent) || len > UINT16_MAX) {
        return -1;
    }
    add_node(t, parent, arena_dup(&t->arena, name, len), (uint32_t)len, 0);
    link_child(t, (int)t->n_nodes - 1);
    return (int)t->n_nodes - 1;
}

int path_item(struct path *t, int parent, uint32_t item)
{
    const struct path_node *p = &t->nodes[parent];

    for (uint32_t i = 0; i < p->n_children; i++) {
        if (p->children[i].item == item) {
            return p->children[i].node;
        }
    }
    if (is_full(t, parent)) {
        return -1;
    }
    add_node(t, parent, "", 0, item);
    link_child(t, (int)t->n_nodes - 1);
    return (int)t->n_nodes - 1;
}

bool path_has_room(const struct path *t, int parent, enum path_name is)
{
    return t->n_learned < PATH_LEARNED &&
           (is == PATH_NAME_WRITTEN ||
            (t->nodes[parent].n_varied < PATH_VARIED &&
             t->n_varied < PATH_VARIED_ALL));
}

int path_learn(struct path *t, int parent, const char *name, size_t len,
               enum path_name is)
{
    int child = path_child(t, parent, name, len);

    if (child >= 0) {
        return child;
    }
    if (len > PATH_NAME_BYTES) {
        return -1;
    }
    if (!path_has_room(t, parent, is)) {
        return is == PATH_NAME_UNKNOWN ? PATH_CROWDED : -1;
    }
    child = path_field(t, parent, name, len);
    if (child >= 0) {
        t->n_learned++;
        if (is != PATH_NAME_WRITTEN) {
            t->nodes[parent].n_varied++;
            t->n_varied++;
        }
    }
    return child;
}

void path_chain(const struct path *t, int node, struct path *chain)
{
    memset(chain, 0, sizeof(*chain));
    arena_init(&chain->arena, 0);
    chain->n_nodes = t->n_nodes;
    chain->nodes = mem_alloc(t->n_nodes * sizeof(*t->nodes));
    memcpy(chain->nodes, t->nodes, t->n_nodes * sizeof(*t->nodes));
    for (uint32_t i = 0; i < chain->n_nodes; i++) {
        chain->nodes[i].children = NULL;
        chain->nodes[i].n_children = 0;
        chain->nodes[i].has_items = false;
    }
    for (; chain->nodes[node].parent >= 0; node = chain->nodes[node].parent) {
        link_child(chain, node);
    }
}

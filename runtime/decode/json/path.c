/* See path.h. */
#include "decode/json/path.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { NO_MARK = UINT32_MAX, FIRST_NODES = 64 };

static void add_node(struct path *t, int parent, const char *name, uint32_t len)
{
    uint32_t at = t->n_nodes;

    if (at >= FIRST_NODES && (at & (at - 1)) == 0) {
        t->nodes = mem_grow(t->nodes, 2 * at * sizeof(*t->nodes));
    }
    t->nodes[at] = (struct path_node){
        .name = name,
        .len = len,
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
    bool plain = !memchr(c->name, '\\', c->len);

    if ((p->n_children & (p->n_children - 1)) == 0) {
        uint32_t room = p->n_children ? 2 * p->n_children : 1;

        p->children = mem_grow(p->children, room * sizeof(*p->children));
    }
    p->children[p->n_children++] = (struct path_child){
        .mark = plain ? path_mark(c->name, c->len) : NO_MARK,
        .len = c->len,
        .name = c->name,
        .node = child};
}

void path_init(struct path *t)
{
    memset(t, 0, sizeof(*t));
    arena_init(&t->arena, 0);
    t->nodes = mem_alloc(FIRST_NODES * sizeof(*t->nodes));
    for (int i = 0; i < TM_ROOTS; i++) {
        add_node(t, -1, "", 0);
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

int path_field(struct path *t, int parent, const char *name, size_t len)
{
    int child = path_child(t, parent, name, len);

    if (child >= 0) {
        return child;
    }
    if (t->nodes[parent].depth >= PATH_DEEPEST || t->n_nodes >= PATH_NODES ||
        len > UINT16_MAX) {
        return -1;
    }
    add_node(t, parent, arena_dup(&t->arena, name, len), (uint32_t)len);
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

static const char *const roots[] = {
    [TM_NODE_DATA] = "data",     [TM_NODE_BEFORE] = "before",
    [TM_NODE_AFTER] = "after",   [TM_NODE_KEY] = "key",
    [TM_NODE_SOURCE] = "source", [TM_NODE_ID] = "id",
};
EACH(roots, TM_ROOTS);

const char *path_text(const struct path *t, int node, struct arena *a)
{
    const struct path_node *n = &t->nodes[node];

    return n->parent < 0
               ? roots[node]
               : arena_printf(a, "%s.%.*s", path_text(t, n->parent, a),
                              (int)n->len, n->name);
}

static int root_of(const char *word, size_t len)
{
    for (int i = 0; i < TM_ROOTS; i++) {
        if (strlen(roots[i]) == len && memcmp(roots[i], word, len) == 0) {
            return i;
        }
    }
    return -1;
}

int path_find(struct path *t, const char *path)
{
    size_t len = strcspn(path, ".");
    int node = root_of(path, len);

    for (path += len; node >= 0 && *path; path += len) {
        path++;
        len = strcspn(path, ".");
        node = path_field(t, node, path, len);
    }
    return node;
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
    }
    for (; chain->nodes[node].parent >= 0; node = chain->nodes[node].parent) {
        link_child(chain, node);
    }
}

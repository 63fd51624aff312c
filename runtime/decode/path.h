#pragma once
/*
 * The tree of wanted fields: node numbers are what columns are counted by.
 * The roots of enum tm_root are there from the start; a node is made once and
 * keeps its number for ever, since columns and scripts refer to it.
 *
 * Invariant: a node without children is wanted, or is a root; a node that is
 * not wanted has no column. Not for threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/api.h"
#include "base/arena.h"

/* No path goes deeper and no tree is wider: a script that makes field names
 * up as it goes must not eat the memory (a column costs 16 bytes an event).
 * PostgreSQL has at most 1,600 columns. */
enum { PATH_DEEPEST = 64, PATH_NODES = 4096 };

struct path_child {
    uint32_t mark; /* of the name; see path_mark() */
    uint32_t len;
    const char *name; /* arena */
    int node;
};

struct path_node {
    const char *name; /* arena; "" for roots */
    uint32_t len;
    uint32_t n_children;
    struct path_child *children; /* owned */
    int parent;                  /* -1: a root */
    int root;
    uint16_t depth;
    bool wanted;
    uint32_t seen; /* serial of the record that last had this object: a second
                      one in the same record is a duplicate key */
};

struct path {
    struct path_node *nodes; /* owned */
    uint32_t n_nodes;
    struct arena arena; /* names */
};

void path_init(struct path *t);
void path_close(struct path *t);
/* The child of [parent] called name, made if new; -1: the tree is full. */
int path_field(struct path *t, int parent, const char *name, size_t len);
/* The node of "data.x.y"; -1: no such root, or the tree is full. */
int path_find(struct path *t, const char *path);
/* Makes [chain] a tree of the same numbers that leads only to [node]. */
void path_chain(const struct path *t, int node, struct path *chain);

/*
 * A name's length and ends in one word: what most comparisons fail on. Names
 * that hold a backslash have no mark, since raw keys would lie about them.
 */
static inline uint32_t path_mark(const char *name, uint32_t len)
{
    if (len == 0) {
        return 0;
    }
    return len << 16 | (uint32_t)(unsigned char)name[0] << 8 |
           (unsigned char)name[len - 1];
}

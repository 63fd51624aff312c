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

#include "base/arena.h"
#include "model/api.h"

/* No path goes deeper and no tree is wider. PostgreSQL has at most 1,600
 * columns. */
enum { PATH_DEEPEST = 64, PATH_NODES = 16384 };

/* What events may add to the tree: a column costs 16 bytes an event, and the
 * batch is decoded again for it. A name that came out of the data is one of
 * any number, so there are few of those below one object, and of all: 10,000
 * events with 256 columns are 40 MB, in each batch under way. Names that stand in
 * a script are bounded by its text. */
enum {
    PATH_LEARNED = 1024,
    PATH_VARIED = 64,
    PATH_VARIED_ALL = 256,
    PATH_NAME_BYTES = 255
};
enum path_name { PATH_NAME_UNKNOWN, PATH_NAME_WRITTEN, PATH_NAME_VARIES };
enum { PATH_CROWDED = -2 };

struct path_child {
    uint32_t mark; /* of the name; see path_mark() */
    uint32_t len;
    uint32_t item;    /* of an array, from 1; 0: a field */
    const char *name; /* arena */
    int node;
};

struct path_node {
    const char *name; /* arena; "" for roots and items */
    uint32_t len;
    uint32_t item; /* of an array, from 1; 0: a field or a root */
    uint32_t n_children;
    struct path_child *children; /* owned */
    int parent;                  /* -1: a root */
    int root;
    uint16_t depth;
    bool wanted;
    bool is_strict;   /* a value that cannot be read fails its record; else
                       whoever asks for it. So are the nodes above */
    bool takes_all;   /* all of its members go to walk.members */
    bool has_items;   /* some of its children are items of an array */
    bool is_logged;   /* that not all of its fields get a column */
    uint8_t n_varied; /* fields learned from events; see path_learn() */
    uint32_t seen; /* serial of the record that last had this object: a second
                      one in the same record is a duplicate key */
};

struct path {
    struct path_node *nodes; /* owned */
    uint32_t n_nodes;
    uint32_t n_learned; /* of them, those that path_learn() made, */
    uint32_t n_varied;  /* and of those, the ones that may come of the data */
    bool is_logged;     /* that no more are learned */
    struct arena arena; /* names */
};

void path_init(struct path *t);
void path_close(struct path *t);
/* The child of [parent] called name; -1: there is none. */
int path_child(const struct path *t, int parent, const char *name, size_t len);
/* The same, made if new; -1: the tree is full. */
int path_field(struct path *t, int parent, const char *name, size_t len);
/* The child for item [item] of an array, from 1, made if new; -1: the tree is
 * full. */
int path_item(struct path *t, int parent, uint32_t item);
/*
 * The child of a node that a handler asked for. [is] says whether a script has
 * the name in its text, which is asked for only where it matters.
 * PATH_CROWDED: it matters now. -1: it gets no node.
 */
int path_learn(struct path *t, int parent, const char *name, size_t len,
               enum path_name is);
/* Does a name of that kind get a node below [parent]? */
bool path_has_room(const struct path *t, int parent, enum path_name is);
/* "data.x['a.b'].c[1]" of a node. */
const char *path_text(const struct path *t, int node, struct arena *a);
/* The same of a field of what [parent] is the text of. */
const char *path_text_field(const char *parent, const char *name, uint32_t len,
                            struct arena *a);
/* The node of such a text; -1: it is no path, or the tree is full. */
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

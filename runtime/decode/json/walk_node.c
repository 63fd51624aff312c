/* See walk_node.h. */
#include "decode/json/walk_node.h"

#include <string.h>

#include "decode/json/logical.h"
#include "decode/json/members.h"
#include "decode/json/text.h"

/* Fields keep their order from record to record: the child behind the one
 * that matched last is tried first. */
static inline int match(const struct path_node *t, const struct walk_key *k,
                        uint32_t *next)
{
    uint32_t mark = path_mark(k->p, k->len);
    uint32_t at = *next;

    for (uint32_t i = 0; i < t->n_children; i++, at++) {
        if (at >= t->n_children) {
            at = 0;
        }
        const struct path_child *c = &t->children[at];
        if (c->mark == mark && c->len == k->len &&
            memcmp(c->name, k->p, c->len) == 0) {
            *next = at + 1;
            return c->node;
        }
    }
    return -1;
}

static int match_escaped(const struct walk *w, const struct path_node *t,
                         const struct walk_key *k)
{
    char *name = arena_alloc(w->arena, k->len);
    int64_t len = text_unescape(k->p, k->len, name);

    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].len == len &&
            memcmp(t->children[i].name, name, t->children[i].len) == 0) {
            return t->children[i].node;
        }
    }
    return -1;
}

/* A value that only a handler asks for fails no record of which nobody does:
 * else it would matter who asked first. */
static __attribute__((noinline)) bool pass_by(struct walk *w, int child,
                                              uint32_t first)
{
    if (w->tree->nodes[child].is_strict ||
        !walk_unreadable(w, first, walk_cell(w, child))) {
        return false;
    }
    walk_clear(w, child);
    return true;
}

static bool walk_object(struct walk *w, const struct path_node *t,
                        struct schema_row *row)
{
    struct walk_key k;
    uint32_t next = 0;
    enum walk_step s = walk_first(w, &k);

    for (; s == WALK_MEMBER; s = walk_next(w, &k)) {
        uint32_t first = w->i;
        int child =
            k.has_escape ? match_escaped(w, t, &k) : match(t, &k, &next);

        if (child < 0) {
            if (!walk_skip(w)) {
                return false;
            }
        } else if ((!walk_node(w, child, NULL) ||
                    (row && !logical_apply(w, row, child, first))) &&
                   !pass_by(w, child, first)) {
            return false;
        }
    }
    return s == WALK_END;
}

static int item_of(const struct path_node *t, uint32_t item)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        if (t->children[i].item == item) {
            return t->children[i].node;
        }
    }
    return -1;
}

/* Of a schema's logical types the walk knows only those of direct fields. */
static bool walk_array(struct walk *w, const struct path_node *t)
{
    uint32_t item = 0;

    w->i++;
    if (walk_char(w) == ']') {
        w->i++;
        return true;
    }
    do {
        uint32_t first = w->i;
        int child = item_of(t, ++item);

        if (child < 0
                ? !walk_skip(w)
                : !walk_node(w, child, NULL) && !pass_by(w, child, first)) {
            return false;
        }
    } while (walk_char(w) == ',' && ++w->i);
    if (walk_char(w) != ']') {
        return walk_fail(w, walk_char(w) ? "a comma or bracket is missing"
                                         : "cut off");
    }
    w->i++;
    return true;
}

/* An object, or an array of which items are wanted. */
static bool walk_inside(struct walk *w, const struct path_node *t,
                        struct schema_row *row)
{
    if (walk_char(w) == '[') {
        return walk_array(w, t);
    }
    return t->takes_all ? members_read(w, row) : walk_object(w, t, row);
}

void walk_clear(struct walk *w, int node)
{
    const struct path_node *t = &w->tree->nodes[node];

    if (t->takes_all) {
        members_clear(w->members);
    }
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct tm_cell *cell = walk_cell(w, t->children[i].node);

        if (cell) {
            cell->tag = TM_MISSING;
        }
        walk_clear(w, t->children[i].node);
    }
}

bool walk_node(struct walk *w, int node, struct schema_row *row)
{
    struct path_node *t = &w->tree->nodes[node];
    struct tm_cell *cell = walk_cell(w, node);
    uint32_t first = w->i;

    if (t->n_children == 0) {
        return cell ? walk_value(w, cell) : walk_skip(w);
    }
    if (t->seen == w->serial) {
        walk_clear(w, node);
    }
    t->seen = w->serial;
    if (walk_char(w) != '{' && !(t->has_items && walk_char(w) == '[')) {
        return cell ? walk_value(w, cell) : walk_skip(w);
    }
    if (!walk_inside(w, t, row)) {
        return false;
    }
    if (cell) {
        walk_since(w, first, cell);
    }
    return true;
}

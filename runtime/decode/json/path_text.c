/* The texts of path.h: what pipelines write, and what messages say. tm_path_next() is
 * the one parser of them, for both halves. */
#include "decode/json/path.h"

#include <string.h>

#include "base/err.h"

/* ---- reading ---- */

static int no_path(struct tm_path *p, const char *fault)
{
    p->fault = fault;
    return -1;
}

static const char *rest_of(const struct tm_path *p, size_t *len)
{
    *len = p->len - p->at;
    return p->text + p->at;
}

static void skip_blanks(struct tm_path *p)
{
    while (p->at < p->len && p->text[p->at] == ' ') {
        p->at++;
    }
}

/* A name as it is: up to a point or bracket. */
static int read_bare(struct tm_path *p)
{
    size_t len, n = 0;
    const char *name = rest_of(p, &len);

    while (n < len && name[n] != '.' && name[n] != '[') {
        n++;
    }
    if (n == 0) {
        return no_path(p, NULL);
    }
    p->name = name;
    p->name_len = (uint32_t)n;
    p->item = 0;
    p->at += (uint32_t)n;
    return 1;
}

static int read_close(struct tm_path *p)
{
    skip_blanks(p);
    if (p->at == p->len || p->text[p->at] != ']') {
        return no_path(p, "the bracket is not closed: ] is missing");
    }
    p->at++;
    if (p->at < p->len && p->text[p->at] != '.' && p->text[p->at] != '[') {
        return no_path(p, "after ] comes a point or a bracket: "
                          "data['a.b'].c");
    }
    return 1;
}

/* Behind a backslash, as in a text of Lua. */
static char escaped(char c)
{
    return (char)(c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c);
}

/* Between quotes. The name without its backslashes is made in [room]. */
static int read_quoted(struct tm_path *p, char quote)
{
    char *out = p->room + p->at;

    p->name = out;
    for (p->at++; p->at < p->len && p->text[p->at] != quote; p->at++) {
        char c = p->text[p->at];

        if (c == '\\' && p->at + 1 < p->len) {
            c = p->text[++p->at];
            if (!memchr("\\'\"ntr", c, 6)) {
                return no_path(p, "after a backslash stands \\, a quote, "
                                  "n, t or r: write any other character "
                                  "as it is");
            }
            c = escaped(c);
        }
        *out++ = c;
    }
    if (p->at == p->len) {
        return no_path(p, "the quote is not closed");
    }
    p->at++;
    p->name_len = (uint32_t)(out - p->name);
    p->item = 0;
    return read_close(p);
}

static int read_item(struct tm_path *p)
{
    uint64_t item = 0;

    for (; p->at < p->len && p->text[p->at] >= '0' && p->text[p->at] <= '9';
         p->at++) {
        item = item > UINT32_MAX ? item
                                 : 10 * item + (uint64_t)(p->text[p->at] - '0');
    }
    if (item == 0) {
        return no_path(p, "items of an array count from 1, as in Lua: "
                          "[1] is the first");
    }
    if (item > INT32_MAX) {
        return no_path(p, "no array has so many items");
    }
    p->name = "";
    p->name_len = 0;
    p->item = (uint32_t)item;
    return read_close(p);
}

static int read_bracket(struct tm_path *p)
{
    p->at++;
    skip_blanks(p);
    char c = p->at < p->len ? p->text[p->at] : '\0';

    if (c == '\'' || c == '"') {
        return read_quoted(p, c);
    }
    if (c >= '0' && c <= '9') {
        return read_item(p);
    }
    if (c == '-') {
        return no_path(p, "items of an array count from 1, as in Lua, and "
                          "none from its end");
    }
    if (c == '*' || c == ']' || c == '#') {
        return no_path(p, "a path leads to one item, such as [1]: for "
                          "each of them write a function of the event");
    }
    return no_path(p, "in brackets stands the number of an item, or a name "
                      "in quotes: ['name']");
}

int tm_path_next(struct tm_path *p)
{
    p->fault = NULL;
    if (p->at == 0) {
        return read_bare(p);
    }
    if (p->at == p->len) {
        return 0;
    }
    if (p->text[p->at] == '[') {
        return read_bracket(p);
    }
    p->at++; /* the point */
    return read_bare(p);
}

/* ---- the tree ---- */

static const char *const roots[] = {
    [TM_NODE_DATA] = "data",     [TM_NODE_BEFORE] = "before",
    [TM_NODE_AFTER] = "after",   [TM_NODE_KEY] = "key",
    [TM_NODE_SOURCE] = "source", [TM_NODE_ID] = "id",
};
EACH(roots, TM_ROOTS);

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
    struct tm_path p = {.text = path, .len = (uint32_t)strlen(path)};
    int node = -1, is_step;

    p.room = arena_alloc(&t->arena, p.len + 1);
    is_step = tm_path_next(&p);
    if (is_step > 0) {
        node = root_of(p.name, p.name_len);
    }
    while (node >= 0 && (is_step = tm_path_next(&p)) > 0) {
        node = p.item ? path_item(t, node, p.item)
                      : path_field(t, node, p.name, p.name_len);
    }
    return is_step < 0 ? -1 : node;
}

/* ---- writing ---- */

/* What Lua reads as that name. */
static const char *quoted(const char *name, uint32_t len, struct arena *a)
{
    char *text = arena_alloc(a, 2 * (size_t)len + 1), *out = text;

    for (uint32_t i = 0; i < len; i++) {
        const char *at = strchr("\n\t\r", name[i]);
        bool is_special = name[i] && (at || strchr("\\'", name[i]));

        if (is_special) {
            *out++ = '\\';
        }
        *out++ = (char)(is_special && at ? "ntr"[at - "\n\t\r"] : name[i]);
    }
    *out = '\0';
    return text;
}

const char *path_text_field(const char *parent, const char *name, uint32_t len,
                            struct arena *a)
{
    bool is_plain =
        len > 0 && !memchr(name, '.', len) && !memchr(name, '[', len);

    return is_plain ? arena_printf(a, "%s.%.*s", parent, (int)len, name)
                    : arena_printf(a, "%s['%s']", parent, quoted(name, len, a));
}

const char *path_text(const struct path *t, int node, struct arena *a)
{
    const struct path_node *n = &t->nodes[node];

    if (n->parent < 0) {
        return roots[node];
    }
    const char *parent = path_text(t, n->parent, a);
    return n->item ? arena_printf(a, "%s[%u]", parent, n->item)
                   : path_text_field(parent, n->name, n->len, a);
}

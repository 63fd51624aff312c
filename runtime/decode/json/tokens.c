/* See tokens.h. */
#include "decode/json/tokens.h"

#include <string.h>

#include "decode/json/walk.h"

/* One reading: the containers that are open, by the index of their token. */
struct token_reading {
    struct walk walk;
    struct tm_cell *out;
    uint32_t n;
    uint32_t depth;
    uint32_t open[WALK_DEEPEST];
};

static struct tm_cell *add(struct token_reading *r)
{
    struct tm_cell *c = &r->out[r->n++];

    memset(c, 0, sizeof(*c));
    return c;
}

static struct tm_cell *innermost(const struct token_reading *r)
{
    return &r->out[r->open[r->depth - 1]];
}

/* A field name and its colon. */
static bool read_name(struct token_reading *r)
{
    struct walk *w = &r->walk;

    if (walk_char(w) != '"' || !walk_value(w, add(r))) {
        return walk_fail(w, "a field name is missing");
    }
    if (walk_char(w) != ':') {
        return walk_fail(w, "a colon is missing");
    }
    w->i++;
    return true;
}

/* The walk stands where the next member or item begins. */
static bool begin_item(struct token_reading *r)
{
    struct tm_cell *container = innermost(r);

    container->len++;
    return container->tag == TM_ARRAY || read_name(r);
}

static bool is_closing(const struct token_reading *r)
{
    return walk_char(&r->walk) == (innermost(r)->tag == TM_OBJECT ? '}' : ']');
}

static bool open_container(struct token_reading *r, char c)
{
    struct tm_cell *t = add(r);

    if (r->depth == WALK_DEEPEST) {
        return walk_fail(&r->walk, "nested deeper than 1000");
    }
    t->tag = c == '{' ? TM_OBJECT : TM_ARRAY;
    t->p = r->walk.p + r->walk.at[r->walk.i];
    r->open[r->depth++] = r->n - 1;
    r->walk.i++;
    return true;
}

/* Behind a value: closes what ends here; stands at the next value, if any. */
static bool close_containers(struct token_reading *r)
{
    struct walk *w = &r->walk;

    for (; r->depth > 0; r->depth--) {
        if (walk_char(w) == ',') {
            w->i++;
            return begin_item(r);
        }
        if (!is_closing(r)) {
            return walk_fail(w, "a comma, brace or bracket is missing");
        }
        w->i++;
    }
    return true;
}

static bool read_all(struct token_reading *r)
{
    do {
        char c = walk_char(&r->walk);

        if (c != '{' && c != '[') {
            if (!walk_value(&r->walk, add(r))) {
                return false;
            }
        } else if (!open_container(r, c)) {
            return false;
        } else if (!is_closing(r)) {
            if (!begin_item(r)) {
                return false;
            }
            continue;
        }
        if (!close_containers(r)) {
            return false;
        }
    } while (r->depth > 0);
    return walk_end(&r->walk);
}

bool tokens_read(struct json_index *x, struct arena *a, const char *json,
                 size_t len, const struct tm_cell **out, uint32_t *n)
{
    struct token_reading r;

    memset(&r.walk, 0, sizeof(r.walk));
    r.walk.index = x;
    r.walk.arena = a;
    r.n = r.depth = 0;
    if (!walk_open(&r.walk, json, len)) {
        return false;
    }
    /* Every token has a structural of its own; one more for a value that is
     * missing where the document ends. */
    r.out = arena_alloc(a, (r.walk.n + 1) * sizeof(*r.out));
    if (!read_all(&r)) {
        return false;
    }
    *out = r.out;
    *n = r.n;
    return true;
}

const struct tm_cell *tokens_behind(const struct tm_cell *value)
{
    uint64_t left = 1;

    for (; left > 0; value++, left--) {
        if (value->tag == TM_OBJECT) {
            left += 2 * (uint64_t)value->len;
        } else if (value->tag == TM_ARRAY) {
            left += value->len;
        }
    }
    return value;
}

const struct tm_cell *tokens_member(const struct tm_cell *object,
                                    const char *name)
{
    const struct tm_cell *found = NULL, *member = object + 1;
    uint32_t len = (uint32_t)strlen(name);

    if (object->tag != TM_OBJECT) {
        return NULL;
    }
    for (uint32_t i = 0; i < object->len; i++) {
        if (member->len == len && memcmp(member->p, name, len) == 0) {
            found = member + 1;
        }
        member = tokens_behind(member + 1);
    }
    return found;
}

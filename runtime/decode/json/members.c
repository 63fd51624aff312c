/* See members.h. */
#include "decode/json/members.h"

#include <stdlib.h>

#include "decode/json/logical.h"
#include "decode/json/text.h"
#include "decode/json/walk.h"

void members_clear(struct members *m)
{
    m->n = 0;
}

void members_close(struct members *m)
{
    free(m->list);
    *m = (struct members){0};
}

/* False: a name that is no text is nobody's to ask for. */
static bool read_name(struct walk *w, const struct walk_key *k,
                      struct member *out)
{
    out->name = k->p;
    out->len = k->len;
    if (k->has_escape) {
        char *name = arena_alloc(w->arena, k->len);
        int64_t len = text_unescape(k->p, k->len, name);

        out->name = name;
        out->len = (uint32_t)len;
        return len >= 0;
    }
    return true;
}

static void add(struct members *m, const struct member *member)
{
    if (m->n == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 64;
        m->list = mem_grow(m->list, m->cap * sizeof(*m->list));
    }
    m->list[m->n++] = *member;
}

static bool read_member(struct walk *w, const struct walk_key *k,
                        const struct schema_row *row)
{
    struct member m = {.cell.tag = TM_MISSING};
    uint32_t first = w->i;

    if (!read_name(w, k, &m)) {
        return walk_skip(w);
    }
    if ((!walk_value(w, &m.cell) ||
         (row &&
          !logical_apply_named(w, row, m.name, m.len, first, &m.cell))) &&
        !walk_unreadable(w, first, &m.cell)) {
        return false;
    }
    add(w->members, &m);
    return true;
}

bool members_read(struct walk *w, const struct schema_row *row)
{
    struct walk_key k;
    enum walk_step s = walk_first(w, &k);

    members_clear(w->members);
    for (; s == WALK_MEMBER; s = walk_next(w, &k)) {
        if (!read_member(w, &k, row)) {
            return false;
        }
    }
    return s == WALK_END;
}

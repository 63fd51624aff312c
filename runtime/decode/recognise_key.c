/* Whether the keys of records fit the keys of rows; see recognise_part.h. What
 * a run makes of them is in flow/keys.c. */
#include <string.h>

#include "decode/recognise_part.h"

/* What event.data is; NULL: not an object. */
static const struct tm_cell *data_of(const struct sight *s)
{
    const struct tm_cell *data = is_row(s->shape) ? s->row : s->value;

    return data && data->tag == TM_OBJECT ? data : NULL;
}

/* It becomes an event of rows. */
static bool is_applied(const struct sight *s)
{
    return s->op != 't' && (is_row(s->shape) || s->shape == SHAPE_ROUTED ||
                            s->shape == SHAPE_OBJECT || s->shape == SHAPE_TEXT);
}

static bool has(const struct tm_cell *object, const char *name)
{
    return object && tokens_member(object, name);
}

/* ---- records without a key ---- */

static const char *key_cure(struct looking *k, const struct plan_column *c)
{
    switch (k->q->topic->format) {
    case FORMAT_OUTBOX:
        return "set transforms.outbox.table.field.event.key at the connector "
               "to the column that names the aggregate (aggregateid)";
    case FORMAT_DEBEZIUM:
        return arena_printf(k->arena,
                            "give the source table a primary key, or set "
                            "message.key.columns=SCHEMA.TABLE:%s at the "
                            "connector",
                            c->name);
    default:
        return arena_printf(k->arena,
                            "let the producer write keys, or say from = "
                            "'data.%s'",
                            c->name);
    }
}

static void judge_null_key(struct looking *k, const struct plan_projection *p,
                           const struct sight *s)
{
    for (uint32_t i = 0; i < p->n_key; i++) {
        const struct plan_column *c = &p->columns[i];

        if (plan_is_keyed_by_record(p) || c->from == FROM_KEY ||
            (c->from == FROM_FIELD && !has(data_of(s), c->name))) {
            find_problem(k, s,
                         arena_printf(k->arena,
                                      "the record has no key, and the key of "
                                      "projection %s (%s) is made of it",
                                      p->table, c->name),
                         key_cure(k, c));
            return;
        }
    }
}

/* ---- keys with fields ---- */

static void judge_key_field(struct looking *k, const struct plan_projection *p,
                            const struct plan_column *c, const struct sight *s)
{
    struct names names = {0};
    bool is_from_key = c->from == FROM_KEY;

    if (has(s->key, c->name) || (is_from_key && s->key->len == 1) ||
        (!is_from_key && has(data_of(s), c->name))) {
        return;
    }
    names_add(k, &names, s->key);
    const char *fields = names_text(k, &names);
    if (!is_from_key && data_of(s)) {
        names_add(k, &names, data_of(s));
    }
    find_problem(
        k, s,
        arena_printf(k->arena,
                     "the record key has the fields %s, but the key of "
                     "projection %s is made of '%s'",
                     fields, p->table, c->name),
        arena_printf(
            k->arena,
            "name the column as the source does, or say where it comes "
            "from: key = { %s = { …, from = 'key' } }%s",
            c->name, names_hint(k, &names, c->name)));
}

static void judge_key_width(struct looking *k, const struct plan_projection *p,
                            const struct sight *s)
{
    struct names names = {0};

    if (!plan_is_keyed_by_record(p) || s->key->len == p->n_key) {
        return;
    }
    names_add(k, &names, s->key);
    find_problem(
        k, s,
        arena_printf(k->arena,
                     "the record key has the fields %s, but the key of "
                     "projection %s names %u of them: lanes would share rows",
                     names_text(k, &names), p->table, p->n_key),
        "name every field of the record key in `key`, or give the key with "
        "from = 'data.…'");
}

static void judge_key(struct looking *k, const struct plan_projection *p,
                      const struct sight *s)
{
    if (!s->record->key) {
        judge_null_key(k, p, s);
        return;
    }
    if (!s->key || s->key->tag != TM_OBJECT) {
        return;
    }
    for (uint32_t i = 0; i < p->n_key; i++) {
        const struct plan_column *c = &p->columns[i];

        if (c->from == FROM_FIELD || c->from == FROM_KEY) {
            judge_key_field(k, p, c, s);
        }
    }
    judge_key_width(k, p, s);
}

/* ---- keys from a path ---- */

static const struct tm_cell *root_of(const struct sight *s, const char *path)
{
    if (strncmp(path, "key.", 4) == 0) {
        return s->key;
    }
    return strncmp(path, "data.", 5) == 0 || strncmp(path, "after.", 6) == 0
               ? data_of(s)
               : NULL;
}

/* Its first field is in no record. */
static void judge_path(struct looking *k, const struct plan_projection *p,
                       const char *path)
{
    struct names names = {0};
    const char *dot = strchr(path, '.');
    const struct sight *shown = NULL;

    if (!dot) {
        return;
    }
    size_t len = strcspn(dot + 1, ".");
    const char *name = arena_dup(k->arena, dot + 1, len);
    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];
        const struct tm_cell *root = is_applied(s) ? root_of(s, path) : NULL;

        if (!root || root->tag != TM_OBJECT) {
            continue;
        }
        if (has(root, name)) {
            return;
        }
        names_add(k, &names, root);
        shown = s;
    }
    if (shown) {
        find_problem(k, shown,
                     arena_printf(k->arena,
                                  "the key of projection %s comes from %s, "
                                  "which no record has, but %s",
                                  p->table, path, names_text(k, &names)),
                     arena_printf(k->arena, "correct the path%s",
                                  names_hint(k, &names, name)));
    }
}

static void judge_paths(struct looking *k, const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_key; i++) {
        const struct plan_column *c = &p->columns[i];

        for (uint32_t n = 0; n < c->n_paths; n++) {
            judge_path(k, p, c->paths[n]);
        }
    }
}

void judge_keys(struct looking *k)
{
    if (k->q->topic->outbox) {
        return; /* its key is a column, see judge_format() */
    }
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        const struct plan_projection *p = k->q->projections[i];

        if (p->kind == KIND_APPEND) {
            continue;
        }
        for (uint32_t n = 0; n < k->n; n++) {
            if (is_applied(&k->sights[n])) {
                judge_key(k, p, &k->sights[n]);
            }
        }
        judge_paths(k, p);
    }
}

/* Whether the keys of records fit the keys of rows; see recognise_part.h. What
 * a run makes of them is in flow/rows/keys.c and flow/rows/record_key.c. */
#include <string.h>

#include "inspect/recognise_part.h"

/* What event.data is; NULL: not an object. */
static const struct tm_cell *data_of(const struct sight *s)
{
    const struct tm_cell *data = is_row(s->shape) ? s->row : s->value;

    return data && data->tag == TM_OBJECT ? data : NULL;
}

static bool has(const struct tm_cell *object, const char *name)
{
    return object && tokens_member(object, name);
}

/* Keys that are functions are not tried: what is wrong beside them is seen
 * here alone. */
static void find_key(struct looking *k, const struct plan_projection *p,
                     const struct sight *s, const char *what, const char *cure)
{
    (p->keys_in_lua ? find_halt : find_problem)(k, s, what, cure);
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
            find_key(k, p, s,
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

/* Has the key a field for the column? Where lanes own their rows the data's
 * will not do; one field alone may have any name with from = 'key'. */
static bool has_key_field(const struct plan_projection *p,
                          const struct plan_column *c, const struct sight *s)
{
    if (c->from == FROM_KEY) {
        return has(s->key, c->name) || (s->key->len == 1 && p->n_key == 1);
    }
    return has(s->key, c->name) ||
           (!plan_is_keyed_by_record(p) && has(data_of(s), c->name)) ||
           (s->key->len == 1 && p->n_key == 1 && has(s->key, "id") &&
            strcmp(c->name, "_id") == 0); /* of MongoDB's connector */
}

/* What there is to do when records are keyed by another column of the row. */
static const char *other_column_cure(struct looking *k,
                                     const struct plan_projection *p,
                                     const char *name)
{
    bool is_debezium = k->q->topic->format == FORMAT_DEBEZIUM;
    const char *by_key =
        arena_printf(k->arena, "%s%s%s",
                     is_debezium ? "set message.key.columns=SCHEMA.TABLE:"
                                 : "let the producer write records keyed by ",
                     name, is_debezium ? " at the connector" : "");

    switch (p->kind) {
    case KIND_MIRROR:
        return arena_printf(
            k->arena, "%s; or let the newest version win: newer = '%s", by_key,
            is_debezium ? "lsn', lsn = { 'bigint', from = 'source.lsn' }"
                        : "version'");
    case KIND_MAP:
        return arena_printf(k->arena,
                            "%s; or give the key with from = 'data.%s' and "
                            "name the later row with newer",
                            by_key, name);
    default:
        return arena_printf(k->arena,
                            "%s; or give the key with from = 'data.%s', whose "
                            "rows are locked then",
                            by_key, name);
    }
}

/* The column is one of the row's, which is keyed by another. */
static void find_other_column(struct looking *k,
                              const struct plan_projection *p,
                              const struct plan_column *c,
                              const struct sight *s, const char *fields)
{
    find_problem(
        k, s,
        arena_printf(k->arena,
                     "the record key has the fields %s, but the key of "
                     "projection %s is made of '%s', another field of the "
                     "row: a lane that reads this record halts, since records "
                     "of one row may be in two partitions",
                     fields, p->table, c->name),
        other_column_cure(k, p, c->name));
}

static void judge_key_field(struct looking *k, const struct plan_projection *p,
                            const struct plan_column *c, const struct sight *s)
{
    struct names names = {0};
    bool is_from_key = c->from == FROM_KEY;

    if (has_key_field(p, c, s)) {
        return;
    }
    names_add(k, &names, s->key);
    const char *fields = names_text(k, &names);
    if (!is_from_key && has(data_of(s), c->name)) {
        find_other_column(k, p, c, s, fields);
        return;
    }
    if (!is_from_key && data_of(s)) {
        names_add(k, &names, data_of(s));
    }
    find_key(k, p, s,
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
    find_key(
        k, p, s,
        arena_printf(k->arena,
                     "the record key has the fields %s, but the key of "
                     "projection %s names %u of them: lanes would share rows",
                     names_text(k, &names), p->table, p->n_key),
        "name every field of the record key in `key`, or give the key with "
        "from = 'data.…'");
}

static void judge_bare_key(struct looking *k, const struct plan_projection *p,
                           const struct sight *s)
{
    if (plan_is_keyed_by_record(p) && p->n_key > 1) {
        find_problem(k, s,
                     arena_printf(k->arena,
                                  "the record key is one value, but the key of "
                                  "projection %s has %u columns",
                                  p->table, p->n_key),
                     "name one column in `key`, or say where each comes from: "
                     "from = 'data.…'");
    }
}

static void judge_key(struct looking *k, const struct plan_projection *p,
                      const struct sight *s)
{
    if (!s->record->key) {
        judge_null_key(k, p, s);
        return;
    }
    if (!s->key || s->key->tag != TM_OBJECT) {
        judge_bare_key(k, p, s);
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
        const struct tm_cell *root =
            sight_is_applied(s) ? root_of(s, path) : NULL;

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
        find_key(k, p, shown,
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

/* ---- the keys that were seen ---- */

/* Is the record key the key of its row, as far as names tell? */
static bool is_row_key(const struct plan_projection *p, const struct sight *s)
{
    if (!s->record->key || !s->key || s->key->tag != TM_OBJECT) {
        return s->record->key && p->n_key == 1;
    }
    for (uint32_t i = 0; i < p->n_key; i++) {
        if (!has_key_field(p, &p->columns[i], s)) {
            return false;
        }
    }
    return s->key->len == p->n_key;
}

static bool are_row_keys(const struct looking *k,
                         const struct plan_projection *p)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (sight_is_applied(&k->sights[i]) && !is_row_key(p, &k->sights[i])) {
            return false;
        }
    }
    return true;
}

/* The names of the fields, "one value" or "none". */
static const char *keys_seen(struct looking *k)
{
    struct names names = {0};
    bool is_bare = false;
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (!sight_is_applied(s) || !s->record->key) {
            continue;
        }
        n++;
        if (s->key && s->key->tag == TM_OBJECT) {
            names_add(k, &names, s->key);
        } else {
            is_bare = true;
        }
    }
    return n == 0     ? NULL
           : !names.n ? "one value"
           : is_bare  ? arena_printf(k->arena, "one value or the fields %s",
                                     names_text(k, &names))
           : names.n > 1
               ? arena_printf(k->arena, "the fields %s", names_text(k, &names))
               : arena_printf(k->arena, "the field %s", names.list[0]);
}

static const char *keyed_names(struct looking *k, bool are_keys)
{
    struct buf text = {0};

    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        const struct plan_projection *p = k->q->projections[i];

        if (plan_is_keyed_by_record(p) && are_row_keys(k, p) == are_keys) {
            buf_printf(&text, "%s%s", text.len ? ", " : "", p->table);
        }
    }
    const char *out =
        text.len ? arena_dup(k->arena, text.data, text.len) : NULL;
    buf_close(&text);
    return out;
}

/* NULL: no projection needs record keys to be row keys. */
static const char *keys_line(struct looking *k)
{
    const char *seen = keys_seen(k);
    const char *right = keyed_names(k, true), *wrong = keyed_names(k, false);

    if (!right && !wrong) {
        return NULL;
    }
    if (!seen && !wrong) {
        return arena_printf(k->arena,
                            "record keys: none seen, so whether they are the "
                            "row keys of %s is not known; a run asks each",
                            right);
    }
    return arena_printf(
        k->arena, "record keys: %s%s%s%s%s", seen ? seen : "none",
        right ? "; the row keys of " : "", right ? right : "",
        wrong ? "; not the row keys of " : "", wrong ? wrong : "");
}

void judge_keys(struct looking *k)
{
    if (k->q->topic->outbox) {
        return; /* its key is a column, see judge_format() */
    }
    k->out->keys = keys_line(k);
    judge_forms(k);
    for (uint32_t i = 0; i < k->q->n_projections; i++) {
        const struct plan_projection *p = k->q->projections[i];

        if (p->kind == KIND_APPEND) {
            continue;
        }
        for (uint32_t n = 0; n < k->n; n++) {
            if (sight_is_applied(&k->sights[n])) {
                judge_key(k, p, &k->sights[n]);
            }
        }
        judge_paths(k, p);
    }
}

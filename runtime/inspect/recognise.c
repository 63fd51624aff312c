/* See recognise.h. What all of its files share, and the summary. */
#include <string.h>

#include "base/nearest.h"
#include "inspect/recognise_part.h"

/* Names in a message, and names that a near one is looked for among. */
enum { NAMES_SHOWN = 8, NAMES_MOST = 200 };

/* ---- findings ---- */

static void add(struct looking *k, bool is_warning, const struct sight *s,
                const char *what, const char *cure)
{
    struct recognised *out = k->out;

    if (s && s->is_passed) {
        return;
    }
    for (uint32_t i = 0; i < out->n; i++) {
        if (strcmp(out->list[i].what, what) == 0) {
            return;
        }
    }
    if (out->n < FINDINGS_MOST) {
        out->list[out->n++] =
            (struct finding){is_warning, what, cure, s ? s->record : NULL};
    }
}

bool is_refused(const struct sight *s)
{
    return s->taken->reason != NULL;
}

void find_problem(struct looking *k, const struct sight *s, const char *what,
                  const char *cure)
{
    if (!s || is_refused(s)) {
        add(k, false, s, what, cure);
    }
}

void find_halt(struct looking *k, const struct sight *s, const char *what,
               const char *cure)
{
    add(k, false, s, what, cure);
}

void find_warning(struct looking *k, const struct sight *s, const char *what,
                  const char *cure)
{
    add(k, true, s, what, cure);
}

/* A handler may make something else of a field than the column of its name. */
void find_in_column(struct looking *k, const struct plan_projection *p,
                    const struct sight *s, const char *what, const char *cure)
{
    if (p->kind == KIND_MIRROR && is_refused(s)) {
        find_problem(k, s, what, cure);
    } else {
        find_warning(k, s, what, cure);
    }
}

const struct sight *first_of(const struct looking *k, enum shape shape)
{
    const struct sight *first = NULL;

    for (uint32_t i = 0; i < k->n; i++) {
        const struct sight *s = &k->sights[i];

        if (s->shape != shape || s->is_passed) {
            continue;
        }
        if (is_refused(s)) {
            return s;
        }
        first = first ? first : s;
    }
    return first;
}

bool is_row(enum shape shape)
{
    return shape == SHAPE_ENVELOPE || shape == SHAPE_OUTBOX_ENVELOPE ||
           shape == SHAPE_FLATTENED || shape == SHAPE_OUTBOX_FLATTENED;
}

/* ---- names ---- */

static bool has_name(const struct names *names, const char *p, size_t len)
{
    for (uint32_t i = 0; i < names->n; i++) {
        if (strlen(names->list[i]) == len &&
            memcmp(names->list[i], p, len) == 0) {
            return true;
        }
    }
    return false;
}

void names_add(struct looking *k, struct names *names,
               const struct tm_cell *object)
{
    const struct tm_cell *member = object + 1;

    if (object->tag != TM_OBJECT) {
        return;
    }
    if (!names->list) {
        names->list = arena_alloc(k->arena, NAMES_MOST * sizeof(char *));
    }
    for (uint32_t i = 0; i < object->len && names->n < NAMES_MOST; i++) {
        if (!has_name(names, member->p, member->len)) {
            names->list[names->n++] =
                arena_dup(k->arena, member->p, member->len);
        }
        member = tokens_behind(member + 1);
    }
}

const char *names_text(struct looking *k, const struct names *names)
{
    struct buf text = {0};

    for (uint32_t i = 0; i < names->n && i < NAMES_SHOWN; i++) {
        buf_printf(&text, "%s%s", i ? ", " : "", names->list[i]);
    }
    buf_puts(&text, names->n == 0            ? "none"
                    : names->n > NAMES_SHOWN ? ", …"
                                             : "");
    const char *out = arena_dup(k->arena, text.data, text.len);
    buf_close(&text);
    return out;
}

const char *names_hint(struct looking *k, const struct names *names,
                       const char *word)
{
    const char *near = nearest_word(word, names->list, names->n);

    return near ? arena_printf(k->arena, "; did you mean '%s'?", near) : "";
}

/* ---- the summary ---- */

static const char *const words[SHAPES] = {
    [SHAPE_NULL] = "tombstones",
    [SHAPE_BINARY] = "bytes of a schema registry",
    [SHAPE_STRUCT] = "rows printed as text",
    [SHAPE_BROKEN] = "no JSON",
    [SHAPE_SCALAR] = "JSON that is no object",
    [SHAPE_TEXT] = "JSON in quotes",
    [SHAPE_TEXT_TWICE] = "JSON in quotes, twice",
    [SHAPE_ENVELOPE] = "change events of a table",
    [SHAPE_OUTBOX_ENVELOPE] = "change events of an outbox table",
    [SHAPE_DOCUMENT] = "change events of MongoDB",
    [SHAPE_FLATTENED] = "flattened rows",
    [SHAPE_OUTBOX_FLATTENED] = "flattened rows of an outbox table",
    [SHAPE_TRANSACTION] = "Debezium's transactions",
    [SHAPE_HEARTBEAT] = "Debezium's heartbeats",
    [SHAPE_ROUTED] = "EventRouter's events",
    [SHAPE_PLACED] = "EventRouter's events, the type in the value",
    [SHAPE_OBJECT] = "JSON",
};

static enum shape commonest(const struct looking *k)
{
    uint32_t n[SHAPES] = {0};
    enum shape best = SHAPE_NULL;

    for (uint32_t i = 0; i < k->n; i++) {
        n[k->sights[i].shape]++;
    }
    for (enum shape i = SHAPE_NULL + 1; i < SHAPES; i++) {
        if (n[i] > (best == SHAPE_NULL ? 0 : n[best])) {
            best = i;
        }
    }
    return best;
}

static bool has_schemas(const struct looking *k, enum shape shape)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->sights[i].shape == shape) {
            return k->sights[i].has_schema;
        }
    }
    return false;
}

static const char *summary(struct looking *k)
{
    struct names types = {0};
    enum shape shape = commonest(k);

    if (k->n == 0) {
        return "";
    }
    types_seen(k, &types);
    return arena_printf(
        k->arena, "%s%s%s%s%s", words[shape],
        has_schemas(k, shape) ? ", with schema" : "", types.n ? " (" : "",
        types.n ? names_text(k, &types) : "", types.n ? ")" : "");
}

/* Deletes are tombstones only: how many rows there were nobody can see. */
static void judge_tombstones(struct looking *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->sights[i].shape != SHAPE_NULL) {
            return;
        }
    }
    if (k->n > 0) {
        find_warning(k, &k->sights[k->n - 1],
                     "all records that were looked at are tombstones, which "
                     "tell of deletes alone",
                     "nothing, if the rows are all gone; else look at what the "
                     "connector captures (table.include.list)");
    }
}

void recognise(const struct recognise *q, struct arena *a,
               struct recognised *out)
{
    struct looking k = {.q = q, .arena = a, .out = out};

    memset(out, 0, sizeof(*out));
    k.index = json_index_new();
    k.sights = arena_zero(a, (q->n + 1) * sizeof(*k.sights));
    for (; k.n < q->n; k.n++) {
        sight_of(&k, k.n, &k.sights[k.n]);
        k.sights[k.n].is_passed = q->passed && q->passed[k.n];
    }
    out->summary = summary(&k);
    judge_tombstones(&k);
    judge_format(&k);
    judge_types(&k);
    judge_keys(&k);
    judge_columns(&k);
    json_index_free(k.index);
}

/* See connector_need.h. */
#include "cli/connector/connector_need.h"

#include <ctype.h>
#include <string.h>

enum { SLOT_LONGEST = 63 }; /* of PostgreSQL's names */

struct finding_needs {
    const struct plan *plan;
    struct arena *arena;
    struct needs *out;
};

/* ---- what a topic's name says ---- */

/* "srv.public.users" is prefix srv and table public.users; false: it is
 * named otherwise. */
static bool split_topic(struct arena *a, const char *topic, const char **prefix,
                        const char **table)
{
    const char *last = strrchr(topic, '.');
    const char *dot = last;

    while (dot && dot > topic && *--dot != '.') {
    }
    if (!dot || dot <= topic || dot + 1 == last || last[1] == '\0') {
        return false;
    }
    *prefix = arena_dup(a, topic, (size_t)(dot - topic));
    *table = dot + 1;
    return true;
}

/* "outbox.event.account" is routed to by "outbox.event." and the value. */
static const char *routed_by(struct arena *a, const char *topic)
{
    const char *last = strrchr(topic, '.');

    return arena_dup(a, topic, last ? (size_t)(last + 1 - topic) : 0);
}

static enum need_kind kind_of(const struct plan_topic *t)
{
    if (t->format == FORMAT_OUTBOX) {
        return t->outbox ? NEED_RAW : NEED_OUTBOX;
    }
    return NEED_ROWS;
}

/* ---- what columns need ---- */

/* A numeric or a time without a word about it in kafka{} is read by the
 * schema of its record. */
static bool is_unsaid(const struct coltype *t, const struct plan_topic *topic)
{
    switch (t->kind) {
    case TYPE_NUMERIC:
        return topic->decimals == DECIMALS_UNSAID;
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return topic->times == TIMES_UNSAID;
    default:
        return false;
    }
}

static bool needs_schemas(const struct plan *plan, const struct plan_topic *t)
{
    if (t->format != FORMAT_DEBEZIUM) {
        return t->outbox && t->outbox->time && t->times == TIMES_UNSAID;
    }
    for (uint32_t i = 0; i < plan->n_projections; i++) {
        const struct plan_projection *p = &plan->projections[i];

        for (uint32_t k = 0; plan_reads(p, t->name) && k < p->n_columns; k++) {
            if (is_unsaid(&p->columns[k].type, t)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- REPLICA IDENTITY ---- */

static bool is_of_row(const char *path)
{
    return strncmp(path, "data.", 5) == 0 || strncmp(path, "before.", 7) == 0;
}

/* On a delete only the key is there, unless the table says otherwise. */
static const struct plan_column *old_column(const struct plan_projection *p)
{
    for (uint32_t i = 0; i < p->n_key; i++) {
        const struct plan_column *c = &p->columns[i];

        if ((c->from == FROM_PATH || c->from == FROM_LIST) &&
            is_of_row(c->paths[0])) {
            return c;
        }
    }
    return NULL;
}

static void note_identity(struct finding_needs *f, const struct plan_topic *t,
                          const char *table)
{
    for (uint32_t i = 0; i < f->plan->n_projections; i++) {
        const struct plan_projection *p = &f->plan->projections[i];
        const struct plan_column *c = old_column(p);

        if (c && p->kind != KIND_APPEND && plan_reads(p, t->name)) {
            buf_printf(&f->out->notes,
                       "%s: the key of projection %s comes from %s, which a "
                       "delete has only after ALTER TABLE %s REPLICA IDENTITY "
                       "FULL, unless it is in the primary key\n",
                       t->name, p->table, c->paths[0], table);
            return;
        }
    }
}

/* ---- the list ---- */

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static const char *placeholder_of(const struct plan_topic *t)
{
    return t->unavailable ? t->unavailable->forms[PLACEHOLDER_TEXT].p : NULL;
}

static bool is_same_form(const struct plan_topic *a, const struct plan_topic *b)
{
    return a->decimals == b->decimals && a->times == b->times &&
           a->flattened == b->flattened && a->binary == b->binary &&
           is_same_text(placeholder_of(a), placeholder_of(b)) &&
           is_same_text(a->type_header, b->type_header) &&
           is_same_text(a->outbox ? a->outbox->key : NULL,
                        b->outbox ? b->outbox->key : NULL);
}

static struct need *find(struct needs *n, const struct need *like)
{
    for (uint32_t i = 0; i < n->n; i++) {
        if (n->list[i].kind == like->kind &&
            strcmp(n->list[i].prefix, like->prefix) == 0 &&
            is_same_form(&n->list[i].form, &like->form)) {
            return &n->list[i];
        }
    }
    return NULL;
}

static void add_table(struct arena *a, struct need *n, const char *table)
{
    const char **list = arena_alloc(a, (n->n_tables + 1) * sizeof(*n->tables));

    if (n->n_tables > 0) {
        memcpy(list, n->tables, n->n_tables * sizeof(*list));
    }
    list[n->n_tables++] = table;
    n->tables = list;
}

static void add(struct finding_needs *f, const struct need *like,
                const char *table)
{
    struct need *n = find(f->out, like);

    if (!n) {
        n = &f->out->list[f->out->n++];
        *n = *like;
    }
    n->has_schemas |= like->has_schemas;
    if (table) {
        add_table(f->arena, n, table);
    }
}

static void add_topic(struct finding_needs *f, const struct plan_topic *t)
{
    struct need n = {.form = *t, .kind = kind_of(t)};
    const char *table = NULL;

    if (t->format == FORMAT_JSON) {
        buf_printf(&f->out->notes,
                   "%s: format json needs no connector: whoever produces it "
                   "writes JSON\n",
                   t->name);
        return;
    }
    if (n.kind == NEED_OUTBOX) {
        n.prefix = routed_by(f->arena, t->name);
    } else if (!split_topic(f->arena, t->name, &n.prefix, &table)) {
        buf_printf(&f->out->notes,
                   "%s: not named PREFIX.SCHEMA.TABLE, as Debezium names the "
                   "topics of tables, so its connector is not printed: set "
                   "topic.prefix and table.include.list by hand, and route to "
                   "this name by a transform (RegexRouter)\n",
                   t->name);
        return;
    }
    n.has_schemas = needs_schemas(f->plan, t);
    add(f, &n, table);
    if (n.kind == NEED_ROWS) {
        note_identity(f, t, table);
    }
}

/* ---- names ---- */

static bool is_taken(const struct needs *n, uint32_t before, const char *name)
{
    for (uint32_t i = 0; i < before; i++) {
        if (strcmp(n->list[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* As PostgreSQL takes names of slots: a-z, 0-9 and _. */
static const char *slot_of(struct arena *a, const char *name)
{
    char *slot = arena_dup(a, name, strlen(name));

    for (char *p = slot; *p; p++) {
        *p = (char)(isalnum((unsigned char)*p) ? tolower((unsigned char)*p)
                                               : '_');
    }
    if (strlen(slot) > SLOT_LONGEST) {
        slot[SLOT_LONGEST] = '\0';
    }
    return slot;
}

static void name_it(struct finding_needs *f, uint32_t i)
{
    struct need *n = &f->out->list[i];
    const char *what = n->kind == NEED_OUTBOX ? "outbox" : n->prefix;
    const char *base = arena_printf(f->arena, "%s-%s", f->plan->name, what);

    n->name = base;
    for (uint32_t k = 2; is_taken(f->out, i, n->name); k++) {
        n->name = arena_printf(f->arena, "%s-%u", base, k);
    }
    n->slot = slot_of(f->arena, n->name);
}

/* A prefix names one connector: what two of them wrote could not be told
 * apart. */
static void note_twice(struct finding_needs *f, uint32_t i)
{
    const struct needs *n = f->out;

    for (uint32_t k = 0; k < i && n->list[i].kind != NEED_OUTBOX; k++) {
        if (n->list[k].kind != NEED_OUTBOX &&
            strcmp(n->list[k].prefix, n->list[i].prefix) == 0) {
            buf_printf(&f->out->notes,
                       "%s: the topics %s.* are read in different ways, and a "
                       "connector writes all of its topics in one: give them "
                       "the same settings in kafka{}, or the tables two "
                       "prefixes\n",
                       n->list[i].name, n->list[i].prefix);
        }
    }
}

void needs_of(const struct plan *p, struct arena *a, struct needs *out)
{
    struct finding_needs f = {.plan = p, .arena = a, .out = out};

    memset(out, 0, sizeof(*out));
    out->list = arena_zero(a, (p->source.n_topics + 1) * sizeof(*out->list));
    for (uint32_t i = 0; i < p->source.n_topics; i++) {
        add_topic(&f, &p->source.settings[i]);
    }
    for (uint32_t i = 0; i < out->n; i++) {
        name_it(&f, i);
        note_twice(&f, i);
    }
}

void needs_close(struct needs *n)
{
    buf_close(&n->notes);
}

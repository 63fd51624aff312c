/* See program.h. */
#include "flow/rows/program.h"

#include <stdlib.h>
#include <string.h>

#include "decode/envelope/types.h"
#include "postgres/sql/sql.h"

/* Without its node a column would have no value, in each event. */
static bool node_of(const struct program *g, struct decoder *d,
                    const char *root, const char *name, int *out, struct err *e)
{
    int parent = decoder_path(d, root);

    *out = decoder_field(d, parent, name, strlen(name));
    return *out >= 0 ||
           err_set(e, ERR_CONFIG,
                   "%s:%d: projection '%s': the field '%s.%s' is one too many: "
                   "all projections of a pipeline read %d fields at most; make "
                   "two pipelines of it",
                   g->plan->file, g->plan->line, g->plan->table, root, name,
                   PATH_NODES);
}

static bool prepare_key(struct program *g, struct decoder *d, uint32_t i,
                        struct err *e)
{
    const struct plan_column *c = &g->plan->columns[i];
    struct program_key *k = &g->keys[i];

    k->key_field = k->data_field = k->whole = k->stated = -1;
    if (c->from == FROM_FIELD || c->from == FROM_KEY) {
        k->whole = decoder_path(d, "key");
        if (!node_of(g, d, "key", c->name, &k->key_field, e)) {
            return false;
        }
    }
    if ((c->from == FROM_FIELD ||
         (g->checks_key && g->plan->kind == KIND_MIRROR)) &&
        !node_of(g, d, "data", c->name, &k->stated, e)) {
        return false;
    }
    k->data_field = c->from == FROM_FIELD ? k->stated : -1;
    k->n_paths = c->n_paths;
    k->paths = arena_alloc(g->arena, (c->n_paths + 1) * sizeof(int));
    for (uint32_t n = 0; n < c->n_paths; n++) {
        k->paths[n] = decoder_path(d, c->paths[n]);
        if (k->paths[n] < 0) {
            return err_set(e, ERR_CONFIG,
                           "%s:%d: key column %s: from = '%s' is no path: "
                           "write 'key', 'data.x', 'after.x', 'before.x' or "
                           "'source.x'",
                           g->plan->file, g->plan->line, c->name, c->paths[n]);
        }
    }
    return true;
}

static bool no_path(const struct program *g, const char *path, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s:%d: projection '%s': '%s' cannot be read: it is no "
                   "path, or there are too many fields",
                   g->plan->file, g->plan->line, g->plan->table, path);
}

static bool prepare_sources(struct program *g, struct decoder *d, struct err *e)
{
    const struct plan_projection *p = g->plan;

    g->sources = arena_alloc(g->arena, p->n_columns * sizeof(int));
    for (uint32_t i = 0; i < p->n_columns; i++) {
        g->sources[i] = -1;
        if (p->columns[i].from == FROM_PATH && !p->columns[i].is_key) {
            g->sources[i] = decoder_path(d, p->columns[i].paths[0]);
            if (g->sources[i] < 0) {
                return no_path(g, p->columns[i].paths[0], e);
            }
        } else if (p->kind == KIND_MIRROR && !p->columns[i].is_key &&
                   !node_of(g, d, "data", p->columns[i].name, &g->sources[i],
                            e)) {
            return false;
        }
    }
    return true;
}

static bool prepare_once(struct program *g, struct decoder *d, struct err *e)
{
    const struct plan_projection *p = g->plan;

    g->once = p->once_path ? decoder_path(d, p->once_path) : -1;
    return !p->once_path || g->once >= 0 || no_path(g, p->once_path, e);
}

static bool convert_initial(struct program *g, uint32_t column, struct err *e)
{
    const struct plan_column *c = &g->plan->columns[column];
    struct convert_rules rules = {.format = FORMAT_JSON, .is_literal = true};
    struct tm_cell cell = c->initial;

    if (convert_cell(&c->type, &cell, &rules, g->arena, &g->initial[column],
                     e)) {
        return true;
    }
    e->class = ERR_CONFIG;
    return err_wrap(e, "%s:%d: initial value of column %s", g->plan->file,
                    g->plan->line, c->name);
}

static struct convert_rules *rules_of(const struct plan_source *s,
                                      struct arena *a)
{
    struct convert_rules *rules =
        arena_zero(a, (s->n_topics + 1) * sizeof(*rules));

    for (uint32_t i = 0; i < s->n_topics; i++) {
        rules[i] = convert_rules_of(&s->settings[i]);
    }
    return rules;
}

/* Those of the first topic that it reads; what another one says otherwise
 * counts as unsaid. */
static struct convert_rules own_rules(const struct plan *p,
                                      const struct convert_rules *rules,
                                      const struct plan_projection *pp)
{
    const struct plan_source *s = &p->source;
    const struct convert_rules *first = NULL;
    struct convert_rules own = rules[0];

    for (uint32_t i = 0; i < s->n_topics; i++) {
        if (!plan_reads(pp, s->topics[i])) {
            continue;
        }
        if (!first) {
            first = &rules[i];
            own = rules[i];
        }
        own.times = rules[i].times == first->times ? own.times : TIMES_UNSAID;
        own.binary =
            rules[i].binary == first->binary ? own.binary : BINARY_UNSAID;
    }
    return own;
}

static void know_types(const struct plan_projection *p, struct decoder *d)
{
    for (uint32_t i = 0; i < p->n_types; i++) {
        decoder_know_type(d, p->types[i]);
    }
    for (uint32_t i = 0; i < p->n_ignore; i++) {
        decoder_know_type(d, p->ignore[i]);
    }
}

static bool program_init(struct program *g, const struct plan *p,
                         uint32_t index, struct decoder *d, struct err *e)
{
    const struct plan_projection *pp = &p->projections[index];

    g->plan = pp;
    g->index = index;
    g->topics = p->source.settings;
    g->rules = rules_of(&p->source, g->arena);
    g->own_rules = own_rules(p, g->rules, pp);
    must(pp->n_columns <= PLAN_COLUMNS && pp->n_key <= PLAN_KEY_COLUMNS);
    g->checks_key = plan_is_keyed_by_record(pp);
    g->keys = arena_zero(g->arena, (pp->n_key + 1) * sizeof(*g->keys));
    g->initial = arena_zero(g->arena, pp->n_columns * sizeof(*g->initial));
    g->scratch = arena_zero(g->arena, 2 * pp->n_columns * sizeof(*g->scratch));
    g->n_words = columns_words(pp->n_columns);
    g->all_values = arena_zero(g->arena, g->n_words * sizeof(uint64_t));
    for (uint32_t i = 0; i < pp->n_columns; i++) {
        if (!convert_initial(g, i, e)) {
            return false;
        }
        if (i >= pp->n_key) {
            columns_add(g->all_values, i);
        } else if (!prepare_key(g, d, i, e)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < pp->n_set; i++) {
        g->tries |= pp[i].n_key > 0 && pp[i].columns[0].from == FROM_ASKED;
    }
    know_types(pp, d);
    return prepare_sources(g, d, e) && prepare_once(g, d, e);
}

bool programs_new(struct arena *a, const struct plan *p,
                  const struct plan_facts *facts, struct decoder *d,
                  struct program **out, struct err *e)
{
    struct program *g = mem_zero(p->n_projections + 1, sizeof(*g));

    for (uint32_t i = 0; i < p->n_projections; i++) {
        g[i].arena = a;
        g[i].facts = &facts->tables[i];
        if (!program_init(&g[i], p, i, d, e)) {
            programs_free(g, p->n_projections);
            return false;
        }
    }
    *out = g;
    return true;
}

static void free_stmt(struct program_cached *c)
{
    free((char *)c->sql);
    free(c->mask);
    free(c);
}

static void forget_statements(struct program *g)
{
    for (uint32_t k = 0; k < g->n_cached; k++) {
        free_stmt(g->cached[k]);
    }
    g->n_cached = 0;
    g->cached_bytes = 0;
}

void programs_free(struct program *g, uint32_t n)
{
    for (uint32_t i = 0; g && i < n; i++) {
        forget_statements(&g[i]);
        free(g[i].cached);
        free(g[i].types);
    }
    free(g);
}

static bool is_in(const char **names, uint32_t n, const char *name, size_t len)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

static enum program_type classify(const struct program *g,
                                  const struct decoder *d, uint32_t type)
{
    const struct plan_projection *p = g->plan;
    size_t len = 0;
    const char *name = decoder_type_name(d, type, &len);

    if (p->types && name && is_in(p->types, p->n_types, name, len)) {
        return TYPE_HANDLED;
    }
    if (name && is_in(p->ignore, p->n_ignore, name, len)) {
        return TYPE_IGNORED;
    }
    return p->types ? TYPE_UNKNOWN : TYPE_HANDLED;
}

enum program_type program_type(struct program *g, const struct decoder *d,
                               uint32_t type)
{
    if (type == TYPES_OTHER) { /* which nobody named */
        return g->plan->types ? TYPE_UNKNOWN : TYPE_HANDLED;
    }
    if (type >= g->n_types) {
        uint32_t n = type + 16;

        g->types = mem_grow(g->types, n);
        memset(g->types + g->n_types, TYPE_UNSEEN, n - g->n_types);
        g->n_types = n;
    }
    if (g->types[type] == TYPE_UNSEEN) {
        g->types[type] = (uint8_t)classify(g, d, type);
    }
    return g->types[type] > TYPE_UNKNOWN ? TYPE_UNKNOWN
                                         : (enum program_type)g->types[type];
}

void program_passed(struct program *g, uint32_t type)
{
    if (type < g->n_types && g->types[type] == TYPE_UNKNOWN) {
        g->types[type] = TYPE_PASSED;
        g->n_unlogged++;
    }
}

static const char *statement_text(const struct program *g, struct arena *a,
                                  enum program_statement what,
                                  const uint64_t *mask)
{
    switch (what) {
    case STATEMENT_LOAD:
        return sql_load(a, g->facts, g->plan, false);
    case STATEMENT_LOCK:
        return sql_load(a, g->facts, g->plan, true);
    case STATEMENT_UPDATE:
        return sql_update(a, g->facts, g->plan, mask);
    case STATEMENT_INSERT:
        return sql_insert(a, g->facts, g->plan, mask);
    case STATEMENT_UPSERT:
        return sql_upsert(a, g->facts, g->plan, mask);
    case STATEMENT_DELETE:
        return sql_delete(a, g->facts, g->plan);
    case STATEMENT_MERGE:
        return sql_merge(a, g->facts, g->plan, mask);
    case STATEMENT_APPEND:
        return sql_append(a, g->facts, g->plan, mask);
    case STATEMENT_EMPTY:
        return sql_empty(a, g->facts, g->plan);
    case STATEMENT_VERIFY:
        return sql_verify(a, g->facts, g->plan);
    }
    return NULL;
}

bool program_counts(const struct program *g, enum program_statement what)
{
    return what == STATEMENT_INSERT || what == STATEMENT_UPDATE ||
           (what == STATEMENT_APPEND && g->plan->n_columns == 0);
}

static struct program_cached *
make_stmt(struct program *g, enum program_statement what, const uint64_t *mask)
{
    size_t size = g->n_words * sizeof(*mask);
    struct program_cached *c = mem_zero(1, sizeof(*c));
    struct arena scratch;

    c->what = what;
    c->mask = mask ? memcpy(mem_alloc(size + 1), mask, size) : NULL;
    arena_init(&scratch, 0);
    c->sql = mem_dup(statement_text(g, &scratch, what, mask));
    c->bytes = strlen(c->sql);
    arena_close(&scratch);
    return c;
}

static void to_front(struct program *g, uint32_t at)
{
    struct program_cached *c = g->cached[at];

    memmove(g->cached + 1, g->cached, at * sizeof(*g->cached));
    g->cached[0] = c;
}

static void keep_stmt(struct program *g, struct program_cached *c)
{
    g->cached_bytes += c->bytes;
    while (g->n_cached > 0 && (g->n_cached == PROGRAM_STATEMENTS ||
                               g->cached_bytes > PROGRAM_TEXT_BYTES)) {
        g->n_cached--;
        g->cached_bytes -= g->cached[g->n_cached]->bytes;
        free_stmt(g->cached[g->n_cached]);
    }
    g->cached = mem_grow(g->cached, (g->n_cached + 1) * sizeof(*g->cached));
    g->cached[g->n_cached] = c;
    to_front(g, g->n_cached++);
}

const char *program_stmt(struct program *g, enum program_statement what,
                         const uint64_t *mask)
{
    if (g->schema != g->facts->schema || g->n_recast != g->facts->n_recast) {
        forget_statements(g);
        g->schema = g->facts->schema;
        g->n_recast = g->facts->n_recast;
    }
    for (uint32_t i = 0; i < g->n_cached; i++) {
        if (g->cached[i]->what == what &&
            columns_equal(g->cached[i]->mask, mask, g->n_words)) {
            to_front(g, i);
            return g->cached[0]->sql;
        }
    }
    keep_stmt(g, make_stmt(g, what, mask));
    return g->cached[0]->sql;
}

/* A set of no columns is one, too, which all rows of such a statement have. */
bool program_varies(const struct program *g, const uint64_t *mask)
{
    static const uint64_t none[PLAN_COLUMN_WORDS];

    return mask && !columns_equal(mask, none, g->n_words) &&
           !columns_equal(mask, g->all_values, g->n_words);
}

bool program_loads(const struct program *g)
{
    return g->plan->kind == KIND_FOLD;
}

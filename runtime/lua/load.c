/* See load.h. The names of fields here are those of plan.lua. */
#include "lua/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lua/identity.h"

/* Where we are: the plan, and the table at the top of the Lua stack. Each
 * function leaves the stack as it found it. */
struct loading {
    lua_State *L;
    struct arena *arena;
};

static const char *text_at(struct loading *l, int index)
{
    size_t len;
    const char *s = lua_tolstring(l->L, index, &len);

    return s ? arena_dup(l->arena, s, len) : NULL;
}

static const char *get_text(struct loading *l, const char *name)
{
    const char *s;

    lua_getfield(l->L, -1, name);
    s = text_at(l, -1);
    lua_pop(l->L, 1);
    return s;
}

static int64_t get_int(struct loading *l, const char *name)
{
    lua_Number n;

    lua_getfield(l->L, -1, name);
    n = lua_tonumber(l->L, -1);
    lua_pop(l->L, 1);
    return (int64_t)n;
}

static uint32_t get_count(struct loading *l, const char *name)
{
    return (uint32_t)get_int(l, name);
}

static double get_double(struct loading *l, const char *name)
{
    double n;

    lua_getfield(l->L, -1, name);
    n = lua_tonumber(l->L, -1);
    lua_pop(l->L, 1);
    return n;
}

static bool get_bool(struct loading *l, const char *name)
{
    bool b;

    lua_getfield(l->L, -1, name);
    b = lua_toboolean(l->L, -1);
    lua_pop(l->L, 1);
    return b;
}

/* A list of texts; NULL when the field is nil. */
static const char **get_texts(struct loading *l, const char *name, uint32_t *n)
{
    const char **list = NULL;

    *n = 0;
    lua_getfield(l->L, -1, name);
    if (lua_istable(l->L, -1)) {
        *n = (uint32_t)lua_objlen(l->L, -1);
        list = arena_zero(l->arena, (*n + 1) * sizeof(*list));
    }
    for (uint32_t i = 0; i < *n; i++) {
        lua_rawgeti(l->L, -1, (int)i + 1);
        list[i] = text_at(l, -1);
        lua_pop(l->L, 1);
    }
    lua_pop(l->L, 1);
    return list;
}

/* The number of a word in a list. */
static int get_word(struct loading *l, const char *name,
                    const char *const *words, size_t n)
{
    const char *s = get_text(l, name);

    for (size_t i = 0; i < n; i++) {
        if (s && strcmp(words[i], s) == 0) {
            return (int)i;
        }
    }
    must(!"a word that plan.lua should have refused");
    return -1;
}

#define WORD(l, name, list)                                                    \
    get_word(l, name, list, sizeof(list) / sizeof(*(list)))

static const char *const FORMATS[] = {
    [FORMAT_OUTBOX] = "outbox",
    [FORMAT_DEBEZIUM] = "debezium",
    [FORMAT_JSON] = "json",
};
EACH(FORMATS, PLAN_FORMATS);
static const char *const KINDS[] = {
    [KIND_FOLD] = "fold",     [KIND_MAP] = "map",     [KIND_MIRROR] = "mirror",
    [KIND_APPEND] = "append", [KIND_MERGE] = "merge",
};
EACH(KINDS, PLAN_KINDS);
static const char *const EXACTS[] = {
    [EXACT_ALIGNED] = "aligned", [EXACT_SHARED] = "shared",
    [EXACT_MERGE] = "merge",     [EXACT_OVERWRITE] = "overwrite",
    [EXACT_APPEND] = "append",
};
EACH(EXACTS, PLAN_EXACTS);
static const char *const STARTS[] = {
    [START_UNSAID] = "unsaid", [START_EARLIEST] = "earliest",
    [START_LATEST] = "latest", [START_TIMESTAMP] = "timestamp",
    [START_GROUP] = "group",
};
EACH(STARTS, PLAN_STARTS);
static const char *const DECIMALS[] = {
    [DECIMALS_UNSAID] = "unsaid",
    [DECIMALS_STRING] = "string",
    [DECIMALS_PRECISE] = "precise",
    [DECIMALS_DOUBLE] = "double",
};
EACH(DECIMALS, PLAN_DECIMALS);
static const char *const TIMES[] = {
    [TIMES_UNSAID] = "unsaid",
    [TIMES_SECONDS] = "seconds",
    [TIMES_MILLIS] = "millis",
    [TIMES_MICROS] = "micros",
    [TIMES_NANOS] = "nanos",
    [TIMES_ADAPTIVE] = "adaptive",
    [TIMES_ADAPTIVE_TIME] = "adaptive_time_microseconds",
    [TIMES_ISO] = "isostring",
};
EACH(TIMES, PLAN_TIMES);
static const char *const BINARY[] = {
    [BINARY_UNSAID] = "unsaid",
    [BINARY_BASE64] = "base64",
    [BINARY_HEX] = "hex",
};
EACH(BINARY, PLAN_BINARY);
static const char *const TRUNCATES[] = {
    [TRUNCATE_HALT] = "halt",
    [TRUNCATE_APPLY] = "apply",
};
EACH(TRUNCATES, PLAN_TRUNCATES);
static const char *const FLATTENED[] = {
    [FLATTENED_UNSAID] = "unsaid",
    [FLATTENED_REWRITE] = "rewrite",
    [FLATTENED_TOMBSTONE] = "tombstone",
};
EACH(FLATTENED, PLAN_FLATTENED);
static const char *const MERGES[] = {
    [MERGE_NONE] = "none",
    [MERGE_SUM] = "sum",
    [MERGE_MIN] = "min",
    [MERGE_MAX] = "max",
};
EACH(MERGES, PLAN_MERGES);
static const char *const FROMS[] = {
    [FROM_FIELD] = "field",       [FROM_KEY] = "key",
    [FROM_PATH] = "path",         [FROM_LIST] = "list",
    [FROM_FUNCTION] = "function", [FROM_ASKED] = "asked",
};
EACH(FROMS, PLAN_FROMS);

/* Goes into field [name], which must be a table; leave() comes back. */
static uint32_t enter(struct loading *l, const char *name)
{
    lua_getfield(l->L, -1, name);
    must(lua_istable(l->L, -1));
    return (uint32_t)lua_objlen(l->L, -1);
}

static void enter_item(struct loading *l, uint32_t i)
{
    lua_rawgeti(l->L, -1, (int)i + 1);
    must(lua_istable(l->L, -1));
}

static void leave(struct loading *l)
{
    lua_pop(l->L, 1);
}

static const struct plan_outbox *load_outbox(struct loading *l)
{
    struct plan_outbox *o = NULL;

    lua_getfield(l->L, -1, "outbox");
    if (lua_istable(l->L, -1)) {
        o = arena_zero(l->arena, sizeof(*o));
        o->id = get_text(l, "id");
        o->key = get_text(l, "key");
        o->type = get_text(l, "type");
        o->payload = get_text(l, "payload");
        o->time = get_text(l, "time");
    }
    lua_pop(l->L, 1);
    return o;
}

static const struct plan_placeholder *load_placeholder(struct loading *l)
{
    static const char *const names[] = {
        [PLACEHOLDER_TEXT] = "text",
        [PLACEHOLDER_BASE64] = "base64",
        [PLACEHOLDER_PAIR] = "pair",
        [PLACEHOLDER_JSON_TEXTS] = "json_texts",
        [PLACEHOLDER_JSON_NUMBERS] = "json_numbers",
        [PLACEHOLDER_TEXTS] = "texts",
        [PLACEHOLDER_NUMBERS] = "numbers",
    };
    EACH(names, PLACEHOLDER_FORMS);
    struct plan_placeholder *u = NULL;

    lua_getfield(l->L, -1, "unavailable");
    if (lua_istable(l->L, -1)) {
        u = arena_zero(l->arena, sizeof(*u));
        for (int i = 0; i < PLACEHOLDER_FORMS; i++) {
            u->forms[i].p = get_text(l, names[i]);
            u->forms[i].len = (uint32_t)strlen(u->forms[i].p);
        }
    }
    lua_pop(l->L, 1);
    return u;
}

static void load_topic(struct loading *l, struct plan_topic *t)
{
    t->name = get_text(l, "name");
    t->format = (enum plan_format)WORD(l, "format", FORMATS);
    t->type_header = get_text(l, "type_header");
    t->type_path = get_text(l, "type_path");
    t->decimals = (enum plan_decimals)WORD(l, "decimals", DECIMALS);
    t->times = (enum plan_times)WORD(l, "times", TIMES);
    t->binary = (enum plan_binary)WORD(l, "binary", BINARY);
    t->truncate = (enum plan_truncate)WORD(l, "truncate", TRUNCATES);
    t->flattened = (enum plan_flattened)WORD(l, "flattened", FLATTENED);
    t->unavailable = load_placeholder(l);
    t->outbox = load_outbox(l);
    t->is_mirrored = get_bool(l, "is_mirrored");
}

static void load_topics(struct loading *l, struct plan_source *s)
{
    s->n_topics = enter(l, "settings");
    s->topics = arena_zero(l->arena, (s->n_topics + 1) * sizeof(*s->topics));
    struct plan_topic *settings =
        arena_zero(l->arena, (s->n_topics + 1) * sizeof(*settings));
    for (uint32_t i = 0; i < s->n_topics; i++) {
        enter_item(l, i);
        load_topic(l, &settings[i]);
        s->topics[i] = settings[i].name;
        leave(l);
    }
    s->settings = settings;
    leave(l);
}

static void load_options(struct loading *l, struct plan_source *s)
{
    s->n_options = enter(l, "options");
    struct plan_option *options =
        arena_zero(l->arena, (s->n_options + 1) * sizeof(*options));
    for (uint32_t i = 0; i < s->n_options; i++) {
        enter_item(l, i);
        options[i].name = get_text(l, "name");
        options[i].value = get_text(l, "value");
        leave(l);
    }
    s->options = options;
    leave(l);
}

static void load_source(struct loading *l, struct plan_source *s)
{
    s->brokers = get_text(l, "brokers");
    s->group = get_text(l, "group");
    load_topics(l, s);
    s->start = (enum plan_start)WORD(l, "start", STARTS);
    s->start_ms = get_int(l, "start_ms");
    s->onto_rows = get_bool(l, "onto_rows");
    load_options(l, s);
}

/* initial = { tag = 'text', value = '...' }; numbers come as their text. */
static void load_initial(struct loading *l, struct tm_cell *c)
{
    static const char *const tags[] = {"boolean", "number", "text",
                                       "object",  "array",  "moment"};
    static const uint8_t cells[] = {TM_BOOL,   TM_NUMBER, TM_TEXT,
                                    TM_OBJECT, TM_ARRAY,  TM_STAMP};
    size_t len;

    lua_getfield(l->L, -1, "initial");
    if (lua_istable(l->L, -1)) {
        c->tag = cells[WORD(l, "tag", tags)];
        lua_getfield(l->L, -1, "value");
        if (c->tag == TM_BOOL) {
            c->i = lua_toboolean(l->L, -1);
        } else if (c->tag == TM_STAMP) {
            c->hint = TM_HINT_MICROS;
            c->i = strtoll(lua_tostring(l->L, -1), NULL, 10);
        } else {
            lua_tolstring(l->L, -1, &len);
            c->p = text_at(l, -1);
            c->len = (uint32_t)len;
        }
        lua_pop(l->L, 1);
    }
    lua_pop(l->L, 1);
}

static void load_column(struct loading *l, struct plan_column *c)
{
    c->name = get_text(l, "name");
    must(type_parse(get_text(l, "type"), &c->type));
    c->is_key = get_bool(l, "is_key");
    c->type.in_capitals = get_bool(l, "in_capitals");
    c->type.is_identity = get_bool(l, "is_identity");
    c->from = (enum plan_from)WORD(l, "from", FROMS);
    c->paths = get_texts(l, "paths", &c->n_paths);
    c->merge = (enum plan_merge)WORD(l, "merge", MERGES);
    c->line = (int)get_int(l, "line");
    load_initial(l, &c->initial);
}

static void load_columns(struct loading *l, struct plan_projection *p)
{
    p->n_columns = enter(l, "columns");
    struct plan_column *columns =
        arena_zero(l->arena, (p->n_columns + 1) * sizeof(*columns));
    for (uint32_t i = 0; i < p->n_columns; i++) {
        enter_item(l, i);
        load_column(l, &columns[i]);
        leave(l);
        p->n_key += columns[i].is_key;
    }
    p->columns = columns;
    leave(l);
}

static void load_projection(struct loading *l, struct plan_projection *p)
{
    p->table = get_text(l, "table");
    p->name.schema = get_text(l, "table_schema");
    p->name.table = get_text(l, "table_name");
    p->file = get_text(l, "file");
    p->line = (int)get_int(l, "line");
    p->kind = (enum plan_kind)WORD(l, "kind", KINDS);
    p->exact = (enum plan_exact)WORD(l, "exact", EXACTS);
    load_columns(l, p);
    p->types = get_texts(l, "types", &p->n_types);
    p->ignore = get_texts(l, "ignore", &p->n_ignore);
    p->strict = get_bool(l, "strict");
    p->unlogged = get_bool(l, "unlogged");
    p->keys_in_lua = get_bool(l, "keys_in_lua");
    p->has_handler = get_bool(l, "has_handler");
    p->deletes = get_bool(l, "deletes");
    p->newer = (int)get_int(l, "newer"); /* from 0; -1: none */
    p->once = (int)get_int(l, "once");
    p->once_path = get_text(l, "once_path");
    p->follows_deletes = get_bool(l, "follows_deletes");
    p->is_owner = get_bool(l, "is_owner");
    p->newer_deletes = get_bool(l, "newer_deletes");
    p->empties = get_bool(l, "empties");
    p->topics = get_texts(l, "topics", &p->n_topics);
    p->is_cached = get_bool(l, "is_cached");
    p->n_set = get_count(l, "n_set");
    p->is_part = get_bool(l, "is_part");
    p->part_of = (int)get_int(l, "part_of"); /* from 0; -1: none */
}

static void load_projections(struct loading *l, struct plan *p)
{
    p->n_projections = enter(l, "projections");
    struct plan_projection *projections =
        arena_zero(l->arena, (p->n_projections + 1) * sizeof(*projections));
    for (uint32_t i = 0; i < p->n_projections; i++) {
        enter_item(l, i);
        load_projection(l, &projections[i]);
        leave(l);
    }
    p->projections = projections;
    leave(l);
}

static void load_database(struct loading *l, struct plan_database *d)
{
    d->write = get_text(l, "write");
    d->read = get_text(l, "read");
    d->file = get_text(l, "file");
    d->line = (int)get_int(l, "line");
    d->pool_max = get_count(l, "pool_max");
    enter(l, "timeouts");
    d->timeouts = (struct plan_timeouts){
        .connect_ms = get_count(l, "connect_ms"),
        .statement_ms = get_count(l, "statement_ms"),
        .lock_ms = get_count(l, "lock_ms"),
        .idle_in_transaction_ms = get_count(l, "idle_in_transaction_ms"),
        .tcp_user_ms = get_count(l, "tcp_user_ms"),
    };
    leave(l);
    enter(l, "retry");
    d->retry.floor_ms = get_count(l, "floor_ms");
    d->retry.cap_ms = get_count(l, "cap_ms");
    leave(l);
    enter(l, "breaker");
    d->breaker = (struct plan_breaker){
        .window = get_count(l, "window"),
        .failures = get_count(l, "failures"),
        .ratio = get_double(l, "ratio"),
        .open_ms = get_count(l, "open_ms"),
        .open_max_ms = get_count(l, "open_max_ms"),
    };
    leave(l);
}

const struct plan *load_plan(lua_State *L, int index)
{
    struct plan *p = mem_zero(1, sizeof(*p));
    struct loading l = {L, &p->arena};

    arena_init(&p->arena, 0);
    lua_pushvalue(L, index);
    p->name = get_text(&l, "name");
    p->path = get_text(&l, "path");
    p->folder = get_text(&l, "folder");
    lua_getfield(L, -1, "hash");
    memcpy(p->hash, lua_tostring(L, -1), sizeof(p->hash));
    lua_pop(L, 1);
    enter(&l, "source");
    load_source(&l, &p->source);
    leave(&l);
    enter(&l, "database");
    load_database(&l, &p->database);
    leave(&l);
    enter(&l, "limits");
    p->limits.size = (uint32_t)get_int(&l, "size");
    p->limits.bytes = (uint64_t)get_int(&l, "bytes");
    p->limits.linger_ms = (uint32_t)get_int(&l, "linger_ms");
    p->limits.concurrency = (uint32_t)get_int(&l, "concurrency");
    leave(&l);
    enter(&l, "cache");
    p->cache.bytes = (uint64_t)get_int(&l, "bytes");
    p->cache.ttl_s = get_count(&l, "ttl_s");
    leave(&l);
    enter(&l, "dead_letters");
    p->dead_letters.max_failed = (uint32_t)get_int(&l, "max_failed");
    p->dead_letters.max_held = (uint32_t)get_int(&l, "max_held");
    p->dead_letters.holds = get_bool(&l, "holds");
    p->dead_letters.topic = get_text(&l, "topic");
    leave(&l);
    load_projections(&l, p);
    identity_of(L, p->hash, p->identity);
    plan_contract(p, p->contract);
    lua_pop(L, 1);
    return p;
}

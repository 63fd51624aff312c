/* See keys.h. */
#include "flow/keys.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "flow/set.h"

static const struct tm_cell *cell_at(const struct rows *r, int node,
                                     uint32_t event)
{
    static const struct tm_cell missing = {.tag = TM_MISSING};

    return node >= 0 && r->events->columns[node]
               ? &r->events->columns[node][event]
               : &missing;
}

static bool is_given(const struct tm_cell *c)
{
    return c->tag != TM_MISSING && c->tag != TM_NULL;
}

/* Members of a JSON object, by its commas; keys are short. */
static uint32_t count_members(const char *p, uint32_t len)
{
    uint32_t n = 0, depth = 0;
    bool in_text = false, any = false;

    for (uint32_t i = 0; i < len; i++) {
        char c = p[i];

        if (in_text) {
            i += c == '\\';
            in_text = c != '"';
        } else if (c == '"') {
            in_text = any = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 1) {
            n++;
        }
    }
    return any ? n + 1 : 0;
}

static bool no_key(const struct rows *r, uint32_t i, uint32_t event,
                   struct err *e)
{
    const struct plan_column *c = &r->program->plan->columns[i];
    const struct record *rec = &r->events->records[event];

    if (c->from == FROM_PATH || c->from == FROM_LIST) {
        return err_set(e, ERR_DATA,
                       "%s.%s: the key field %s is missing or null",
                       r->program->plan->table, c->name, c->paths[0]);
    }
    if (!rec->key) {
        return err_set(e, ERR_DATA, "%s.%s: the record has no key",
                       r->program->plan->table, c->name);
    }
    return err_set(e, ERR_DATA,
                   "%s.%s: neither the record key %.*s nor the event has a "
                   "field '%s'",
                   r->program->plan->table, c->name,
                   (int)(rec->key_len < 200 ? rec->key_len : 200), rec->key,
                   c->name);
}

/* {"anything": value} stands for the value when the key says from = 'key'. */
static bool only_field(const struct rows *r, const struct tm_cell *object,
                       struct decoder *d, struct tm_cell *out)
{
    const struct tm_cell *tokens = NULL;
    uint32_t n = 0;

    if (!d ||
        decoder_tokens(d, r->arena, object->p, object->len, &tokens, &n) < 0 ||
        n != 3 || tokens[0].len != 1) {
        return false;
    }
    *out = tokens[2];
    return true;
}

static bool differs(const struct rows *r, uint32_t i, uint32_t event,
                    const struct tm_cell *key, const struct tm_cell *field)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    const struct coltype *t = &r->program->plan->columns[i].type;
    struct tm_cell a, b;
    struct err ignored;

    if (key->tag == TM_INT && field->tag == TM_INT) {
        return key->i != field->i;
    }
    if (key->tag == TM_TEXT && field->tag == TM_TEXT &&
        key->len == field->len && memcmp(key->p, field->p, key->len) == 0) {
        return false;
    }
    return !convert_cell(t, key, &rules, r->arena, &a, &ignored) ||
           !convert_cell(t, field, &rules, r->arena, &b, &ignored) ||
           !convert_equal(&a, &b);
}

/* " = 7": what the row's field says, when it says something. */
static const char *field_text(const struct rows *r, uint32_t i, uint32_t event,
                              struct buf *out)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    const struct coltype *t = &r->program->plan->columns[i].type;
    const struct tm_cell *field =
        cell_at(r, r->program->keys[i].data_field, event);
    struct tm_cell cell;
    struct err ignored;

    if (is_given(field) &&
        convert_cell(t, field, &rules, r->arena, &cell, &ignored) &&
        is_given(&cell)) {
        buf_puts(out, " = ");
        convert_text(t, &cell, out);
    }
    return buf_text(out);
}

static bool key_differs(const struct rows *r, uint32_t i, uint32_t event,
                        struct err *e)
{
    const struct plan_column *c = &r->program->plan->columns[i];
    const struct record *rec = &r->events->records[event];
    struct buf field = {0};

    err_set(e, ERR_DATA,
            "%s.%s: the record key %.*s is not the row's key (%s%.100s): lanes "
            "would share rows; name every field of the record key in `key`, or "
            "give the key with from = 'data.%s'",
            r->program->plan->table, c->name,
            (int)(rec->key_len < 200 ? rec->key_len : 200),
            rec->key ? rec->key : "", c->name, field_text(r, i, event, &field),
            c->name);
    buf_close(&field);
    return false;
}

/* For lanes that own their rows: see the head of keys.h. */
static bool check_record_key(const struct rows *r, uint32_t event,
                             struct err *e)
{
    const struct program *g = r->program;
    const struct tm_cell *whole = cell_at(r, g->keys[0].whole, event);

    if (!is_given(whole)) {
        return no_key(r, 0, event, e);
    }
    if (whole->tag == TM_OBJECT &&
        count_members(whole->p, whole->len) != g->plan->n_key) {
        return key_differs(r, 0, event, e);
    }
    for (uint32_t i = 0; i < g->plan->n_key; i++) {
        const struct tm_cell *field = cell_at(r, g->keys[i].data_field, event);
        const struct tm_cell *key =
            whole->tag == TM_OBJECT ? cell_at(r, g->keys[i].key_field, event)
                                    : whole;

        if (is_given(field) && is_given(key) &&
            differs(r, i, event, key, field)) {
            return key_differs(r, i, event, e);
        }
    }
    return true;
}

static bool key_value(const struct rows *r, uint32_t i, uint32_t event,
                      struct tm_cell *out, struct err *e)
{
    const struct program_key *k = &r->program->keys[i];
    const struct plan_column *c = &r->program->plan->columns[i];
    const struct tm_cell *whole = cell_at(r, k->whole, event);

    if (c->from == FROM_PATH) {
        *out = *cell_at(r, k->paths[0], event);
    } else if (is_given(cell_at(r, k->key_field, event))) {
        *out = *cell_at(r, k->key_field, event);
    } else if (is_given(cell_at(r, k->data_field, event))) {
        *out = *cell_at(r, k->data_field, event);
    } else if (whole->tag == TM_TEXT && r->program->plan->n_key == 1) {
        *out = *whole;
    } else if (whole->tag == TM_OBJECT && c->from == FROM_KEY &&
               only_field(r, whole, r->decoder, out)) {
        return true;
    } else {
        return no_key(r, i, event, e);
    }
    return is_given(out) || no_key(r, i, event, e);
}

static bool convert_key(const struct rows *r, uint32_t i, uint32_t event,
                        struct tm_cell *cell, struct err *e)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    const struct plan_column *c = &r->program->plan->columns[i];
    struct tm_cell in = *cell;

    if (!convert_cell(&c->type, &in, &rules, r->arena, cell, e)) {
        return err_wrap(e, "%s.%s: key", r->program->plan->table, c->name);
    }
    return is_given(cell) || no_key(r, i, event, e);
}

/* One value of a list after the other. */
static bool enter_list(struct rows *r, uint32_t event, uint32_t list,
                       struct tm_cell *key, struct err *e)
{
    const struct program_key *k = &r->program->keys[list];
    uint32_t first = r->n_pairs;

    for (uint32_t n = 0; n < k->n_paths; n++) {
        key[list] = *cell_at(r, k->paths[n], event);
        if (!is_given(&key[list])) {
            continue;
        }
        if (!convert_key(r, list, event, &key[list], e)) {
            return false;
        }
        rows_enter(r, event, key);
    }
    return r->n_pairs > first || no_key(r, list, event, e);
}

bool keys_enter(struct rows *r, uint32_t event, const struct tm_cell *given,
                struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    struct tm_cell key[PROGRAM_MAX_COLUMNS];
    int list = -1;

    for (uint32_t i = 0; i < p->n_key; i++) {
        if (p->columns[i].from == FROM_LIST) {
            list = (int)i;
            continue;
        }
        if (p->columns[i].from == FROM_FUNCTION) {
            key[i] = given[i];
        } else if (!key_value(r, i, event, &key[i], e)) {
            return false;
        }
        if (!convert_key(r, i, event, &key[i], e)) {
            return false;
        }
    }
    if (list >= 0) {
        return enter_list(r, event, (uint32_t)list, key, e);
    }
    rows_enter(r, event, key);
    return true;
}

/* No record's fault: a person has to say what is to become of the table. */
static bool truncated(const struct rows *r, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s: the source table was truncated; a truncate is not "
                   "applied by itself: empty the table, then skip this record "
                   "(tidemill lane skip)",
                   r->program->plan->table);
}

static bool no_op(const struct rows *r, struct err *e)
{
    return err_set(e, ERR_CONFIG,
                   "%s: the flattened rows of this topic have no field __op, "
                   "so `on` cannot tell c, u and d apart: set transforms."
                   "unwrap.add.fields=op at the connector, or make the "
                   "projection a mirror or a map",
                   r->program->plan->table);
}

static bool not_emptied(const struct plan_projection *p, struct err *e)
{
    if (p->kind == KIND_MIRROR || p->kind == KIND_MAP) {
        return err_set(e, ERR_CONFIG,
                       "%s: a source table was truncated, but several topics "
                       "feed this one, so it cannot be emptied: delete the "
                       "rows that are gone, then skip this record (tidemill "
                       "lane skip); or give each topic a table of its own",
                       p->table);
    }
    return err_set(e, ERR_CONFIG,
                   "%s: the source table was truncated, and what this %s made "
                   "of its rows cannot be taken back: make the table right by "
                   "hand, then skip this record (tidemill lane skip); or write "
                   "ignore = { 't' } if a truncate does not matter to it",
                   p->table, p->kind == KIND_MERGE ? "merge" : "fold");
}

/* True: the event is handled as others are; false with e->class NONE: what had
 * to be done is done. */
static bool takes_truncate(struct rows *r, uint32_t event, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (plan_ignores(p, "t")) {
        return false;
    }
    if (r->program->topics[r->events->topics[event]].truncate ==
        TRUNCATE_HALT) {
        return truncated(r, e);
    }
    if (p->empties) {
        r->emptied_by = (int32_t)event;
        r->events->flags[event] |= EVENT_WANTED;
        return false;
    }
    return p->kind == KIND_APPEND || not_emptied(p, e);
}

static bool unknown_type(const struct rows *r, const struct decoder *d,
                         uint32_t event, struct err *e)
{
    size_t len = 0;
    const char *name = decoder_type_name(d, r->events->types[event], &len);

    return err_set(e, ERR_SCRIPT,
                   "%s:%d: projection '%s' is strict and has no handler for "
                   "event type '%.*s': add one, or name it in `ignore`",
                   r->program->plan->file, r->program->plan->line,
                   r->program->plan->table, (int)len, name ? name : "");
}

bool keys_wants(struct rows *r, struct decoder *d, uint32_t event,
                struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    uint8_t state = r->events->states[event];

    e->class = ERR_NONE;
    if ((state != TM_EVENT_OK && state != TM_EVENT_HELD) ||
        !plan_reads(r->program->plan, r->events->records[event].topic)) {
        return false;
    }
    if (r->events->ops[event] == 't' && !takes_truncate(r, event, e)) {
        return false;
    }
    switch (program_type(r->program, d, r->events->types[event])) {
    case TYPE_HANDLED:
        break;
    case TYPE_UNKNOWN:
        if (r->events->flags[event] & EVENT_NO_OP) {
            return no_op(r, e);
        }
        return p->strict ? unknown_type(r, d, event, e) : false;
    default:
        return false;
    }
    r->events->flags[event] |= EVENT_WANTED;
    return !r->program->checks_key || check_record_key(r, event, e);
}

/* False: the event failed, see [e]. */
static bool collect(struct rows *r, struct decoder *d, uint32_t event,
                    struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (!keys_wants(r, d, event, e)) {
        return e->class == ERR_NONE;
    }
    if (set_leads(r)) {
        set_add(r->set, event);
    }
    if (r->set &&
        (p->kind == KIND_APPEND || p->columns[0].from == FROM_ASKED)) {
        return true;
    }
    if (p->kind == KIND_APPEND) {
        rows_enter(r, event, NULL);
    } else if (p->keys_in_lua) {
        rows_choose(r, event);
    } else {
        return keys_enter(r, event, NULL, e);
    }
    return true;
}

bool keys_collect(struct rows *r, struct decoder *d, uint32_t *event,
                  struct err *e)
{
    r->decoder = d;
    for (; *event < r->events->n; (*event)++) {
        r->events->view->current = (int32_t)*event;
        if (!collect(r, d, *event, e)) {
            return false;
        }
    }
    r->events->view->current = -1;
    return true;
}

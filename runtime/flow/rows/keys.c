/* See keys.h. */
#include "flow/rows/keys.h"

#include <string.h>

#include "flow/rows/record_key.h"
#include "flow/rows/table_set.h"

static bool key_value(const struct rows *r, uint32_t i, uint32_t event,
                      struct tm_cell *out, struct err *e)
{
    const struct program_key *k = &r->program->keys[i];
    const struct plan_column *c = &r->program->plan->columns[i];
    const struct tm_cell *whole = rows_cell(r, k->whole, event);

    if (c->from == FROM_PATH) {
        *out = *rows_cell(r, k->paths[0], event);
    } else if (rows_is_given(rows_cell(r, k->key_field, event))) {
        *out = *rows_cell(r, k->key_field, event);
    } else if (rows_is_given(rows_cell(r, k->data_field, event))) {
        *out = *rows_cell(r, k->data_field, event);
    } else if (whole->tag == TM_TEXT && r->program->plan->n_key == 1) {
        *out = *whole;
    } else if (whole->tag == TM_OBJECT && c->from == FROM_KEY &&
               record_key_only_field(r, whole, out)) {
        return true;
    } else {
        return record_key_missing(r, i, event, e);
    }
    return rows_is_given(out) || record_key_missing(r, i, event, e);
}

static bool convert_key(const struct rows *r, uint32_t i, uint32_t event,
                        struct tm_cell *cell, struct err *e)
{
    struct convert_rules rules = rows_rules(r, (int32_t)event);
    const struct plan_column *c = &r->program->plan->columns[i];
    struct tm_cell in = *cell;

    if (!convert_cell(&c->type, &in, &rules, r->arena, cell, e)) {
        const char *hint = in.tag == TM_TEXT ? record_key_hint(r, event) : NULL;
        err_wrap(e, "%s.%s: key", r->program->plan->table, c->name);
        return hint &&
               err_set(e, e->class, "%.400s: %s",
                       arena_dup(r->arena, e->text, strlen(e->text)), hint);
    }
    return rows_is_given(cell) || record_key_missing(r, i, event, e);
}

/* One value of a list after the other. */
static bool enter_list(struct rows *r, uint32_t event, uint32_t list,
                       struct tm_cell *key, struct err *e)
{
    const struct program_key *k = &r->program->keys[list];
    uint32_t first = r->n_pairs;

    for (uint32_t n = 0; n < k->n_paths; n++) {
        key[list] = *rows_cell(r, k->paths[n], event);
        if (!rows_is_given(&key[list])) {
            continue;
        }
        if (!convert_key(r, list, event, &key[list], e)) {
            return false;
        }
        rows_enter(r, event, key);
    }
    return r->n_pairs > first || record_key_missing(r, list, event, e);
}

bool keys_enter(struct rows *r, uint32_t event, const struct tm_cell *given,
                struct err *e)
{
    const struct plan_projection *p = r->program->plan;
    struct tm_cell key[PLAN_KEY_COLUMNS];
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

/* False with e->class NONE: it is nothing to this projection. */
static bool takes_tombstone(const struct rows *r, struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (p->kind != KIND_MIRROR || plan_ignores(p, "d")) {
        return false;
    }
    return p->is_owner ||
           err_set(e, ERR_CONFIG,
                   "%s: a record without a value says that its row is gone, "
                   "but several lanes may change the row, and a late record "
                   "would bring it back: make its key the record key of one "
                   "topic, or write ignore = { 'd' } if such records do not "
                   "matter to it",
                   p->table);
}

static bool is_tombstone(const struct rows *r, uint32_t event)
{
    return (r->events->flags[event] & EVENT_TOMBSTONE) ||
           (r->events->ops[event] == 'd' &&
            r->program->plan->kind == KIND_MIRROR &&
            r->program->topics[r->events->topics[event]].format == FORMAT_JSON);
}

static bool unknown_type(const struct rows *r, const struct decoder *d,
                         uint32_t event, struct err *e)
{
    size_t len = 0;
    const char *name = decoder_event_type(d, r->events, event, &len);

    return err_set(e, ERR_SCRIPT,
                   "%s:%d: projection '%s' is strict and has no handler for "
                   "event type '%.*s': add one, or name it in `ignore`",
                   r->program->plan->file, r->program->plan->line,
                   r->program->plan->table, (int)len, name ? name : "");
}

/* A truncate is no event that a handler must know. */
static bool pass_by(struct rows *r, uint32_t event)
{
    if (r->events->ops[event] != 't') {
        program_passed(r->program, r->events->types[event]);
    }
    return false;
}

/* Does the projection take this event? False with e->class set: a failure of
 * the record; false without: not for this projection. */
static bool wants(struct rows *r, struct decoder *d, uint32_t event,
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
    if (is_tombstone(r, event) && !takes_tombstone(r, e)) {
        return false;
    }
    switch (program_type(r->program, d, r->events->types[event])) {
    case TYPE_HANDLED:
        break;
    case TYPE_UNKNOWN:
        if (r->events->flags[event] & EVENT_NO_OP) {
            return no_op(r, e);
        }
        return p->strict ? unknown_type(r, d, event, e) : pass_by(r, event);
    default:
        return false;
    }
    r->events->flags[event] |= EVENT_WANTED;
    return !r->program->checks_key || record_key_fits(r, event, e);
}

/* False: the event failed, see [e]. */
static bool collect(struct rows *r, struct decoder *d, uint32_t event,
                    struct err *e)
{
    const struct plan_projection *p = r->program->plan;

    if (!wants(r, d, event, e)) {
        return e->class == ERR_NONE;
    }
    if (table_set_leads(r)) {
        table_set_add(r->table_set, event);
    }
    if (r->table_set &&
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

void keys_begin(struct rows *r, struct arena *a, struct arena *loaded,
                struct events *ev)
{
    rows_begin(r, a, loaded, ev);
    if (table_set_leads(r)) {
        table_set_reset(r->table_set, a, ev->n);
    }
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

/* See send_reading.h. */
#include "cli/send/send_reading.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/say.h"
#include "decode/json/walk.h"

static void print_place(const struct send_record *r, const struct walk *w)
{
    uint32_t line = 1, column = 1;

    for (uint32_t i = 0; i < w->fault_at && i < w->len; i++) {
        bool is_break = w->p[i] == '\n';

        line += is_break;
        /* Of a character of several bytes the first one counts. */
        column =
            is_break ? 1 : column + (((unsigned char)w->p[i] & 0xC0) != 0x80);
    }
    complain("tidemill send: the value is not JSON: %s, at line %u, column "
             "%u; --raw writes %s as it is\n",
             w->fault, line, column, r->topic);
}

static bool is_json(const struct send_record *r)
{
    struct walk w = {.index = json_index_new()};
    bool ok = walk_open(&w, r->value.data ? r->value.data : "", r->value.len) &&
              walk_skip(&w) && walk_end(&w);

    if (!ok && r->value.len == 0) {
        complain("tidemill send: the value is empty, and no JSON: --tombstone "
                 "writes none at all\n");
    } else if (!ok) {
        print_place(r, &w);
    }
    json_index_free(w.index);
    return ok;
}

static struct tm_batch *decode(const struct send_record *r, struct tm_trial *t)
{
    int value_len = r->is_tombstone ? -1 : (int)r->value.len;

    tm_trial_event(t, r->topic, 0, 0, 0, r->key,
                   r->key ? (int)strlen(r->key) : -1, r->value.data, value_len);
    for (uint32_t i = 0; i < r->n_headers; i++) {
        tm_trial_header(t, r->headers[i].name, r->headers[i].value,
                        (int)r->headers[i].len);
    }
    return tm_trial_decode(t);
}

static bool refuse_record(const char *why)
{
    complain("tidemill send: nothing was written, since a run would set the "
             "record aside: %s\n(--raw writes it all the same)\n",
             why ? why : "it cannot be read");
    return false;
}

/* A key that Lua computes is left to the run. */
static bool has_keys(const struct send_record *r, struct tm_trial *t,
                     const struct tm_batch *b)
{
    for (uint32_t i = 0; i < r->plan->n_projections; i++) {
        const struct plan_projection *p = &r->plan->projections[i];

        if (!plan_reads(p, r->topic) || p->keys_in_lua ||
            p->columns[0].from == FROM_ASKED) {
            continue;
        }
        if (!tm_trial_rows(t, i)) {
            return refuse_record(b->error);
        }
        if (b->states[0] == TM_EVENT_FAILED) {
            return refuse_record(b->reasons[0]);
        }
    }
    return true;
}

static bool is_handled(const struct plan_projection *p, const char *type)
{
    for (uint32_t i = 0; i < p->n_types; i++) {
        if (strcmp(p->types[i], type) == 0) {
            return true;
        }
    }
    return !p->types || plan_ignores(p, type);
}

/* A mistyped type is written all the same: others may read the topic too. */
static void note_type(const struct send_record *r, struct tm_batch *b)
{
    size_t len = 0;
    const char *name = tm_type_name(b, b->types[0], &len);
    char type[256];

    if (!name || len >= sizeof(type)) {
        return;
    }
    snprintf(type, sizeof(type), "%.*s", (int)len, name);
    for (uint32_t i = 0; i < r->plan->n_projections; i++) {
        const struct plan_projection *p = &r->plan->projections[i];

        if (plan_reads(p, r->topic) && !is_handled(p, type)) {
            complain("note: %s has no handler for the type %s", p->table, type);
            complain_near(nearest_word(type, p->types, p->n_types));
            complain("\n");
        }
    }
}

bool send_is_readable(const struct send_record *r)
{
    if (!r->is_tombstone && !is_json(r)) {
        return false;
    }
    struct tm_trial *t = tm_trial_new(r->plan);
    struct tm_batch *b = decode(r, t);
    bool ok = true;

    if (b->states[0] == TM_EVENT_FAILED) {
        ok = refuse_record(b->reasons[0]);
    } else if (b->states[0] == TM_EVENT_SKIPPED) {
        complain("note: a run passes such a record by, and moves on\n");
    } else {
        ok = has_keys(r, t, b);
        note_type(r, b);
    }
    tm_trial_free(t);
    return ok;
}

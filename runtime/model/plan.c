/* See plan.h. All that a plan points to lives in its arena. */
#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"

void plan_free(const struct plan *p)
{
    struct plan *ours = (struct plan *)p;

    if (ours) {
        arena_close(&ours->arena);
        free(ours);
    }
}

bool plan_can_repeat(const struct plan_projection *p)
{
    return p->kind == KIND_MIRROR || p->kind == KIND_MAP || p->once >= 0;
}

bool plan_is_cached(const struct plan *p)
{
    for (uint32_t i = 0; i < p->n_projections; i++) {
        if (p->projections[i].is_cached) {
            return true;
        }
    }
    return false;
}

uint32_t plan_n_tables(const struct plan *p)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n_projections; i++) {
        n += p->projections[i].part_of < 0;
    }
    return n;
}

static bool is_in(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool plan_reads(const struct plan_projection *p, const char *topic)
{
    return !p->topics || is_in(p->topics, p->n_topics, topic);
}

bool plan_ignores(const struct plan_projection *p, const char *type)
{
    return is_in(p->ignore, p->n_ignore, type);
}

bool plan_is_keyed_by_record(const struct plan_projection *p)
{
    if (p->kind == KIND_APPEND || p->kind == KIND_MERGE) {
        return false;
    }
    if (p->exact == EXACT_SHARED ||
        (p->newer >= 0 && (!p->follows_deletes || p->newer_deletes))) {
        return false;
    }
    for (uint32_t i = 0; i < p->n_key; i++) {
        if (p->columns[i].from != FROM_FIELD &&
            p->columns[i].from != FROM_KEY) {
            return false;
        }
    }
    return true;
}

/* ---- the contract ---- */

static void put_number(struct sha256 *s, int64_t n)
{
    sha256_put(s, &n, sizeof(n));
}

static void put_text(struct sha256 *s, const char *text)
{
    sha256_put_text(s, text, text ? strlen(text) : 0);
}

static void put_texts(struct sha256 *s, const char *const *list, uint32_t n)
{
    put_number(s, n);
    for (uint32_t i = 0; i < n; i++) {
        put_text(s, list[i]);
    }
}

static void put_outbox(struct sha256 *s, const struct plan_outbox *o)
{
    put_number(s, o != NULL);
    if (o) {
        put_text(s, o->id);
        put_text(s, o->key);
        put_text(s, o->type);
        put_text(s, o->payload);
        put_text(s, o->time);
    }
}

static void put_topic(struct sha256 *s, const struct plan_topic *t)
{
    put_text(s, t->name);
    put_number(s, t->format);
    put_text(s, t->type_header);
    put_text(s, t->type_path);
    put_number(s, t->decimals);
    put_number(s, t->times);
    put_number(s, t->binary);
    put_number(s, t->truncate);
    put_number(s, t->flattened);
    put_text(s,
             t->unavailable ? t->unavailable->forms[PLACEHOLDER_TEXT].p : NULL);
    put_outbox(s, t->outbox);
}

static void put_column(struct sha256 *s, const struct plan_column *c)
{
    put_text(s, c->name);
    put_number(s, c->type.kind);
    put_number(s, c->type.precision);
    put_number(s, c->type.scale);
    put_number(s, c->type.length);
    put_number(s, c->is_key);
    put_number(s, c->from);
    put_texts(s, c->paths, c->n_paths);
    put_number(s, c->merge);
}

static void put_projection(struct sha256 *s, const struct plan_projection *p)
{
    put_text(s, p->table);
    put_number(s, p->kind);
    put_number(s, p->exact);
    put_number(s, p->n_columns);
    for (uint32_t i = 0; i < p->n_columns; i++) {
        put_column(s, &p->columns[i]);
    }
    put_number(s, p->unlogged);
    put_number(s, p->newer);
    put_number(s, p->once);
    put_text(s, p->once_path);
    put_texts(s, p->topics, p->n_topics);
    put_number(s, p->n_set);
}

void plan_contract(const struct plan *p, char out[65])
{
    struct sha256 s;

    sha256_init(&s);
    put_number(&s, p->source.n_topics);
    for (uint32_t i = 0; i < p->source.n_topics; i++) {
        put_topic(&s, &p->source.settings[i]);
    }
    put_number(&s, p->n_projections);
    for (uint32_t i = 0; i < p->n_projections; i++) {
        put_projection(&s, &p->projections[i]);
    }
    sha256_hex(&s, out);
}

/* See prepared.h. */
#include "postgres/prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { NOT_PREPARED, PREPARING, PREPARED };
enum { NAME_BYTES = 24 };

void prepared_init(struct prepared *p)
{
    *p = (struct prepared){0};
    hash_init(&p->names);
}

void prepared_close(struct prepared *p)
{
    for (uint32_t i = 0; i < p->names.n_keys; i++) {
        free((char *)p->names.keys[i].p);
    }
    hash_close(&p->names);
    free(p->states);
    free(p->versions);
    free(p->values);
    free(p->lengths);
    free(p->formats);
}

static uint32_t number_of(struct prepared *p, const char *name)
{
    int is_new;
    uint32_t number =
        hash_put(&p->names, name, (uint32_t)strlen(name), &is_new);
    if (!is_new) {
        return number;
    }
    p->names.keys[number].p = mem_dup(name);
    if (number >= p->cap_states) {
        p->cap_states = p->cap_states ? 2 * p->cap_states : 64;
        p->states = mem_grow(p->states, p->cap_states);
        p->versions =
            mem_grow(p->versions, p->cap_states * sizeof *p->versions);
    }
    p->states[number] = NOT_PREPARED;
    p->versions[number] = 0;
    return number;
}

static void set_params(struct prepared *p, const struct pgparam *params, int n)
{
    if (n > p->cap_params) {
        size_t cap = (size_t)n;
        p->cap_params = n;
        p->values = mem_grow(p->values, cap * sizeof *p->values);
        p->lengths = mem_grow(p->lengths, cap * sizeof *p->lengths);
        p->formats = mem_grow(p->formats, cap * sizeof *p->formats);
    }
    for (int i = 0; i < n; i++) {
        p->values[i] = params[i].data;
        p->lengths[i] = params[i].len;
        p->formats[i] = 1;
    }
}

/* Its name has a version of its own: where this is skipped, because something
 * before it failed, the old one stays and is in nobody's way. */
static bool forget(struct prepared *p, PGconn *pg, uint32_t number,
                   int statement, struct flush *f)
{
    char sql[sizeof "DEALLOCATE " + NAME_BYTES];
    bool is_there = p->states[number] == PREPARED;
    p->states[number] = NOT_PREPARED;
    if (!is_there) {
        return true;
    }
    snprintf(sql, sizeof sql, "DEALLOCATE s%u_%u", number, p->versions[number]);
    flush_expect(f, statement, FLUSH_FORGETS);
    return PQsendQueryParams(pg, sql, 0, NULL, NULL, NULL, NULL, 1);
}

bool prepared_send(struct prepared *p, PGconn *pg, const struct pgstmt *s,
                   uint32_t version, const struct pgparam *params,
                   struct flush *f)
{
    char name[NAME_BYTES];
    int statement = flush_add(f, s->sql);
    uint32_t number = number_of(p, s->name);
    if (p->versions[number] != version &&
        !forget(p, pg, number, statement, f)) {
        return false;
    }
    p->versions[number] = version;
    snprintf(name, sizeof name, "s%u_%u", number, version);
    if (p->states[number] == NOT_PREPARED) {
        if (!PQsendPrepare(pg, name, s->sql, s->n_params, s->param_oids)) {
            return false;
        }
        p->states[number] = PREPARING;
        flush_expect(f, statement, number);
    }
    set_params(p, params, s->n_params);
    if (!PQsendQueryPrepared(pg, name, s->n_params, p->values, p->lengths,
                             p->formats, 1)) {
        return false;
    }
    flush_expect(f, statement, FLUSH_RUNS);
    return true;
}

void prepared_learn(struct prepared *p, const struct flush *f)
{
    for (int i = 0; i < f->n_steps; i++) {
        const struct flush_step *s = &f->steps[i];
        if (s->prepares >= 0) {
            p->states[s->prepares] = s->is_ok ? PREPARED : NOT_PREPARED;
        }
    }
}

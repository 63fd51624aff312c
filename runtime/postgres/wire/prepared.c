/* See prepared.h. */
#include "postgres/wire/prepared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"

enum name_state { PREPARING, PREPARED, LEAVING };
enum { NAME_BYTES = 24 };

struct prepared_name {
    char *sql;      /* owned */
    uint32_t *oids; /* owned; of its parameters */
    int n_params;
    uint32_t series;
    uint32_t number;
    enum name_state state;
    uint32_t varied_bytes; /* of its text; 0: it is not varied */
    uint64_t used;         /* prepared.now of its last use */
};

void prepared_init(struct prepared *p)
{
    *p = (struct prepared){0};
    params_init(&p->params);
}

static void close_name(struct prepared_name *n)
{
    free(n->sql);
    free(n->oids);
}

void prepared_close(struct prepared *p)
{
    for (uint32_t i = 0; i < p->n_names; i++) {
        close_name(&p->names[i]);
    }
    free(p->hashes);
    free(p->names);
    params_close(&p->params);
}

/* ---- names ---- */

static bool is_varied(const struct prepared_use *u)
{
    return u->series == (uint32_t)PGCONN_VARIED;
}

static uint64_t hash_of(const struct prepared_use *u)
{
    return hash_text(u->sql);
}

static size_t oid_bytes(const struct prepared_use *u)
{
    return (size_t)u->params->n * sizeof(*u->params->oids);
}

static bool is_of(const struct prepared_name *n, const struct prepared_use *u)
{
    return strcmp(n->sql, u->sql) == 0 && n->n_params == u->params->n &&
           memcmp(n->oids, u->params->oids, oid_bytes(u)) == 0;
}

/* NULL: there is none, or it is leaving. */
static struct prepared_name *find(const struct prepared *p,
                                  const struct prepared_use *u, uint64_t hash)
{
    for (uint32_t i = 0; i < p->n_names; i++) {
        struct prepared_name *n = &p->names[i];
        if (p->hashes[i] == hash && n->series == u->series &&
            n->state != LEAVING && is_of(n, u)) {
            return n;
        }
    }
    return NULL;
}

static struct prepared_name *add(struct prepared *p,
                                 const struct prepared_use *u, uint64_t hash)
{
    if (p->n_names == p->cap_names) {
        p->cap_names = p->cap_names ? 2 * p->cap_names : 64;
        p->names = mem_grow(p->names, p->cap_names * sizeof(*p->names));
        p->hashes = mem_grow(p->hashes, p->cap_names * sizeof(*p->hashes));
    }
    struct prepared_name *n = &p->names[p->n_names];
    *n = (struct prepared_name){
        .sql = mem_dup(u->sql),
        .oids = mem_alloc(oid_bytes(u) + 1),
        .n_params = u->params->n,
        .series = u->series,
        .number = ++p->last_number,
        .state = PREPARING,
        .varied_bytes = is_varied(u) ? (uint32_t)strlen(u->sql) : 0};
    memcpy(n->oids, u->params->oids, oid_bytes(u));
    p->hashes[p->n_names++] = hash;
    p->varied_bytes += n->varied_bytes;
    return n;
}

static void drop(struct prepared *p, struct prepared_name *n)
{
    uint32_t at = (uint32_t)(n - p->names), last = --p->n_names;
    p->varied_bytes -= n->varied_bytes;
    close_name(n);
    p->names[at] = p->names[last];
    p->hashes[at] = p->hashes[last];
}

static void put_name(const struct prepared_name *n, char text[NAME_BYTES])
{
    snprintf(text, NAME_BYTES, "s%u", n->number);
}

/* ---- giving names back ---- */

/* Where this is skipped, because something before it failed, the name stays,
 * and may leave another time. */
static bool forget(struct prepared_name *n, PGconn *pg, int statement,
                   struct flush *f)
{
    char name[NAME_BYTES], sql[sizeof "DEALLOCATE " + NAME_BYTES];
    n->state = LEAVING;
    put_name(n, name);
    snprintf(sql, sizeof(sql), "DEALLOCATE %s", name);
    flush_expect(f, statement, FLUSH_FORGETS, n->number);
    return PQsendQueryParams(pg, sql, 0, NULL, NULL, NULL, NULL, 1);
}

static bool forget_series(struct prepared *p, PGconn *pg, uint32_t series,
                          int statement, struct flush *f)
{
    for (uint32_t i = 0; i < p->n_names; i++) {
        struct prepared_name *n = &p->names[i];
        if (n->state == PREPARED && n->series == series &&
            !forget(n, pg, statement, f)) {
            return false;
        }
    }
    return true;
}

/* What was not used since the last sweep. */
static bool sweep(struct prepared *p, PGconn *pg, int statement,
                  struct flush *f)
{
    uint64_t since = p->swept_at;
    p->swept_at = p->now;
    for (uint32_t i = 0; i < p->n_names; i++) {
        struct prepared_name *n = &p->names[i];
        if (n->state == PREPARED && n->used <= since &&
            !forget(n, pg, statement, f)) {
            return false;
        }
    }
    return true;
}

/* The varied one that was used longest ago, among those that can leave. */
static struct prepared_name *oldest(const struct prepared *p)
{
    struct prepared_name *found = NULL;
    for (uint32_t i = 0; i < p->n_names; i++) {
        struct prepared_name *n = &p->names[i];
        if (n->varied_bytes && n->state == PREPARED &&
            (!found || n->used < found->used)) {
            found = n;
        }
    }
    return found;
}

/* What is leaving counts until it is gone, so it leaves room in advance. */
static bool make_room(struct prepared *p, PGconn *pg, size_t bytes,
                      int statement, struct flush *f)
{
    size_t leaving = 0;
    for (uint32_t i = 0; i < p->n_names; i++) {
        leaving += p->names[i].state == LEAVING ? p->names[i].varied_bytes : 0;
    }
    while (p->varied_bytes - leaving + bytes > PREPARED_VARIED_BYTES) {
        struct prepared_name *n = oldest(p);
        if (!n || !forget(n, pg, statement, f)) {
            return false;
        }
        leaving += n->varied_bytes;
    }
    return true;
}

/* ---- sending ---- */

/* Is it the second use of a varied one? What else has the same place makes it
 * forgotten. */
static bool is_seen(struct prepared *p, uint64_t hash)
{
    uint16_t *seen = &p->seen[hash % PREPARED_SEEN];
    uint16_t bits = (uint16_t)(hash >> 48 | 1);
    bool is = *seen == bits;
    *seen = bits;
    return is;
}

/* Sends the PREPARE. *n stays NULL where it gets no name this time. */
static bool prepare(struct prepared *p, PGconn *pg,
                    const struct prepared_use *u, uint64_t hash, int statement,
                    struct flush *f, struct prepared_name **n)
{
    char name[NAME_BYTES];
    if (is_varied(u) && (!is_seen(p, hash) ||
                         !make_room(p, pg, strlen(u->sql), statement, f))) {
        return true;
    }
    if (u->series && !is_varied(u) &&
        !forget_series(p, pg, u->series, statement, f)) {
        return false;
    }
    *n = add(p, u, hash);
    put_name(*n, name);
    flush_expect(f, statement, FLUSH_PREPARES, (*n)->number);
    return PQsendPrepare(pg, name, u->sql, u->params->n, u->params->oids);
}

static bool run_name(struct prepared *p, PGconn *pg, struct prepared_name *n,
                     const struct params *params)
{
    char name[NAME_BYTES];
    n->used = ++p->now;
    put_name(n, name);
    return PQsendQueryPrepared(pg, name, params->n, params->values,
                               params->lengths, params->formats, 1);
}

bool prepared_send(struct prepared *p, PGconn *pg, const struct prepared_use *u,
                   struct flush *f)
{
    struct params *params = u->params;
    uint64_t hash = hash_of(u);
    int statement = f->n_results - 1;
    if (p->n_sweeps != u->n_sweeps && !sweep(p, pg, statement, f)) {
        return false;
    }
    p->n_sweeps = u->n_sweeps;
    struct prepared_name *n = find(p, u, hash);
    if (!n && !prepare(p, pg, u, hash, statement, f, &n)) {
        return false;
    }
    params_seal(params);
    f->n_bytes += params->bytes.len;
    if (!(n ? run_name(p, pg, n, params)
            : PQsendQueryParams(pg, u->sql, params->n, params->oids,
                                params->values, params->lengths,
                                params->formats, 1))) {
        return false;
    }
    flush_expect(f, statement, FLUSH_RUNS, 0);
    return true;
}

/* ---- answers ---- */

static struct prepared_name *by_number(const struct prepared *p,
                                       uint32_t number)
{
    for (uint32_t i = 0; i < p->n_names; i++) {
        if (p->names[i].number == number) {
            return &p->names[i];
        }
    }
    return NULL;
}

void prepared_learn(struct prepared *p, const struct flush *f)
{
    for (int i = 0; i < f->n_steps; i++) {
        const struct flush_step *s = &f->steps[i];
        struct prepared_name *n =
            s->does != FLUSH_RUNS ? by_number(p, s->number) : NULL;
        if (n && s->is_ok == (s->does == FLUSH_FORGETS)) {
            drop(p, n); /* it never was, or is gone */
        } else if (n) {
            n->state = PREPARED;
        }
    }
}

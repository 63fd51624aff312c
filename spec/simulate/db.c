/* See db.h. */
#include "db.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "model.h"

enum { BUCKETS = 1 << 14 };

static struct row *buckets[BUCKETS];
static struct row *tables[TABLES];
static uint64_t n_commits;
static uint32_t n_xids;

void db_open(void)
{
    n_commits = 1;
    n_xids = 1000;
}

void db_close(void)
{
    for (int t = 0; t < TABLES; t++) {
        for (struct row *r = tables[t], *more; r; r = more) {
            more = r->more;
            free(r);
        }
        tables[t] = NULL;
    }
    memset(buckets, 0, sizeof(buckets));
}

static uint32_t bucket_of(enum table t, uint32_t partition, int64_t offset,
                          const char *key)
{
    uint64_t h = (uint64_t)t * 1000003 + partition;

    h = (h ^ (uint64_t)offset) * 0x9e3779b97f4a7c15;
    for (; *key; key++) {
        h = (h ^ (unsigned char)*key) * 0x100000001b3;
    }
    return (uint32_t)(h >> 40) % BUCKETS;
}

struct row *db_row(enum table t, uint32_t partition, int64_t offset,
                   const char *key)
{
    uint32_t b = bucket_of(t, partition, offset, key);
    struct row *r = buckets[b];

    while (r && (r->table != t || r->partition != partition ||
                 r->offset != offset || strcmp(r->key, key) != 0)) {
        r = r->next;
    }
    if (!r) {
        r = mem_zero(1, sizeof(*r));
        must(strlen(key) < KEY_MOST);
        r->table = t;
        r->partition = partition;
        r->offset = offset;
        memcpy(r->key, key, strlen(key));
        r->next = buckets[b];
        buckets[b] = r;
        r->more = tables[t];
        tables[t] = r;
    }
    return r;
}

struct row *db_rows(enum table t)
{
    return tables[t];
}

struct tx *db_begin(struct session *s, bool is_snapshot)
{
    struct tx *t = mem_zero(1, sizeof(*t));

    t->session = s;
    t->xid = ++n_xids;
    t->is_snapshot = is_snapshot;
    t->snapshot = n_commits;
    return t;
}

static void end(struct tx *t)
{
    for (struct row *r = t->rows, *held; r; r = held) {
        held = r->held;
        r->holder = NULL;
        r->held = NULL;
        r->is_changed = false;
    }
    t->rows = NULL;
    sessions_wake(t);
    free(t);
}

void db_commit(struct tx *t)
{
    must(!t->has_failed);
    model_commits(t);
    n_commits++;
    for (struct row *r = t->rows; r; r = r->held) {
        if (r->is_changed) {
            r->before = r->now;
            r->now = r->mine;
            r->now.seq = n_commits;
            r->is_edited = t->session == session_of_people();
        }
    }
    end(t);
}

void db_rollback(struct tx *t)
{
    end(t);
}

bool db_is_stale(const struct tx *t, const struct row *r)
{
    return t->is_snapshot && r->now.seq > t->snapshot;
}

const struct version *db_see(const struct tx *t, const struct row *r)
{
    const struct version *v = r->holder == t && r->is_changed ? &r->mine
                              : db_is_stale(t, r)             ? &r->before
                                                              : &r->now;

    return v->exists ? v : NULL;
}

bool db_lock(struct tx *t, struct row *r)
{
    if (r->holder == t) {
        return true;
    }
    if (r->holder) {
        session_wait(t->session, r->holder);
        return false;
    }
    r->holder = t;
    r->is_changed = false;
    r->held = t->rows;
    t->rows = r;
    return true;
}

struct version *db_change(struct tx *t, struct row *r)
{
    must(r->holder == t);
    if (!r->is_changed) {
        r->mine = r->now;
        r->is_changed = true;
    }
    r->mine.xmin = t->xid;
    return &r->mine;
}

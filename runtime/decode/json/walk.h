#pragma once
/*
 * A walk over one JSON document, along its structural index. What leaves the
 * value of each wanted field in that field's column stands in walk_node.h.
 *
 * Invariant: at[0..n) are positions inside the document, at[n] is its length,
 * and i <= n; every byte that is read lies before p[len]. Functions that
 * return false have set `fault`; the walk is over then. Of a key that
 * appears twice, the last one counts. Parts that nobody wants are checked like
 * the others (walk_skip.c), so a document that was walked to its end is JSON.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/json/json.h"
#include "decode/json/path.h"
#include "model/api.h"

struct members;
struct plan_placeholder;

/* Deeper documents are refused: Jackson, which wrote most of them, allows
 * 1,000 by default, and jsonb in PostgreSQL needs stack for each level. */
enum { WALK_DEEPEST = 1000 };

struct walk {
    /* -- set once */
    struct json_index *index; /* owned by the decoder */
    /* -- the document; walk_open() */
    const char *p; /* borrowed: the record, or the arena */
    uint32_t len;
    uint32_t n;
    uint32_t i; /* the structural to be read next */
    const uint32_t *at;
    uint32_t plain_from, plain_to; /* no backslash in [from, to) */
    uint32_t checked;  /* values that begin before this structural are JSON */
    const char *fault; /* first thing wrong, or NULL */
    uint32_t fault_at;
    bool is_misfit; /* it is JSON, but not what its schema says */
    const struct plan_placeholder *unavailable; /* of the topic; or NULL */
    /* -- where values go */
    struct path *tree;
    struct members *members; /* of a node that takes all; borrowed */
    struct tm_cell **columns;
    uint32_t n_columns;
    uint32_t event;
    uint32_t serial; /* of the record, see path_node.seen */
    struct arena *arena;
};

/* A raw key: the bytes between its quotes. */
struct walk_key {
    const char *p;
    uint32_t len;
    bool has_escape;
};

/* Indexes a document; the walk stands at its value. */
bool walk_open(struct walk *w, const char *p, size_t len) MUSTCHECK;
/* The walk must be behind the value, with nothing following. */
bool walk_end(struct walk *w) MUSTCHECK;
/* Passes over the value. */
bool walk_skip(struct walk *w) MUSTCHECK;
/* Reads the value and moves behind it; objects and arrays as raw JSON. */
bool walk_value(struct walk *w, struct tm_cell *out) MUSTCHECK;
/* The value as it is written, a text without its quotes: what a key is. */
bool walk_raw(struct walk *w, struct tm_cell *out) MUSTCHECK;
bool walk_fail(struct walk *w, const char *fault);
/*
 * The value at structural [first] could not be read. Where it is JSON all the
 * same the walk goes on behind it and [cell], unless it is NULL, says what is
 * wrong: TM_UNREADABLE. False: it is no JSON.
 */
bool walk_unreadable(struct walk *w, uint32_t first, struct tm_cell *cell);
/* Two faults that have messages of their own: reader_bad_json(). */
extern const char WALK_NOT_UTF8[], WALK_HALF_PAIR[];

/* The object or array that began at structural [first] and ended before this one,
 * as raw JSON. */
static inline void walk_since(const struct walk *w, uint32_t first,
                              struct tm_cell *out)
{
    out->p = w->p + w->at[first];
    out->len = w->at[w->i - 1] + 1 - w->at[first];
    out->tag = out->p[0] == '{' ? TM_OBJECT : TM_ARRAY;
}

/* The cell of [node] for this event; NULL: it has no column. */
static inline struct tm_cell *walk_cell(const struct walk *w, int node)
{
    return (uint32_t)node < w->n_columns && w->columns[node]
               ? &w->columns[node][w->event]
               : NULL;
}

/* The structural that comes next; 0 at the end of the document. */
static inline char walk_char(const struct walk *w)
{
    return w->i < w->n ? w->p[w->at[w->i]] : '\0';
}

/*
 * The members of an object:
 *   for (s = walk_first(w, &k); s == WALK_MEMBER; s = walk_next(w, &k)) {
 *       read or skip the value, returning on failure
 *   }
 *   return s == WALK_END;
 */
enum walk_step { WALK_FAULT, WALK_MEMBER, WALK_END };

/* At an opening brace. */
enum walk_step walk_first(struct walk *w, struct walk_key *k);
/* Behind a value. */
enum walk_step walk_next(struct walk *w, struct walk_key *k);
/* After a value: passes over all members that follow, and the brace. */
bool walk_leave(struct walk *w);
static inline bool walk_key_is(const struct walk_key *k, const char *word)
{
    size_t len = strlen(word);

    return k->len == len && memcmp(k->p, word, len) == 0;
}

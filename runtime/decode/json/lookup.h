#pragma once
/*
 * Fields that have no column, since their names came out of the data and a
 * column for each would be as many as there are names: they are looked up in
 * one event at a time. Such a field is named by its parent, which is a node of
 * the tree or such a field too, and its name.
 *
 * Invariant: what is known is of one event of one run over a batch, so the
 * memory is that of the widest event, and of the objects and times that one run
 * was given. Not for threads.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "decode/json/members.h"
#include "decode/json/path.h"
#include "model/api.h"

struct lookup_field {
    int parent; /* node, or TM_LOOSE and above */
    const char *name;
    uint32_t len;
};

struct lookup {
    /* -- of the run */
    const void *batch; /* borrowed, compared only */
    uint32_t generation;
    struct hash
        fields; /* those that are objects or arrays, by parent and name */
    struct hash times;  /* those that a handler was given, see lookup_hint() */
    struct arena names; /* the keys of both */
    /* -- of the event */
    uint32_t event;
    struct hash known;     /* members by parent and name */
    struct tm_cell *cells; /* owned; of known, by number */
    uint32_t cap_cells;
    int *opened; /* owned; parents whose members are known */
    uint32_t n_opened;
    uint32_t cap_opened;
    struct arena arena;
    struct tm_cell last;       /* looked up last */
    struct lookup_field place; /* of last, where it is TM_UNREADABLE */
    /* -- for the reading */
    struct members members; /* of the object that is being opened */
    struct path tree;       /* the roots; one of them takes all */
    struct tm_cell roots[TM_ROOTS];
    struct tm_cell *columns[TM_ROOTS]; /* roots */
};

void lookup_init(struct lookup *l);
void lookup_close(struct lookup *l);
/* Turns to an event: what is known of another one is forgotten. */
void lookup_turn(struct lookup *l, const struct tm_batch *b, uint32_t event);
/* The tree is made to take all members of [root], and the cells missing. */
void lookup_aim(struct lookup *l, int root);
bool lookup_is_open(const struct lookup *l, int parent);
/* What members holds is what is in the object. */
void lookup_open(struct lookup *l, int parent);
/* The field of an opened parent: its number, and its value in last. */
int lookup_find(struct lookup *l, int parent, const char *name,
                size_t len) MUSTCHECK;
/* The unit of a time that was found in that event in this run and has the value
 * of [c]; TM_HINT_NONE: there is none. */
uint8_t lookup_hint(const struct lookup *l, const struct tm_batch *b,
                    uint32_t event, const struct tm_cell *c);
/* False: no such number was given out in this run, or it is TM_LOOSE. */
bool lookup_field(const struct lookup *l, int number, struct lookup_field *out);

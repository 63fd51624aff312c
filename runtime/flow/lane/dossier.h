#pragma once
/*
 * What flow remembers of a lane beside its position: the keys that are held,
 * how often its records failed lately, and the record that the database was
 * found to refuse. It outlives the lane: a lane that comes back after a
 * rebalance is the same one.
 *
 * Held keys are loaded from tidemill.dead_letter when the lane is claimed and
 * change only with known commits, so they say what the table says.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "flow/lane/guard.h"
#include "model/failure.h"

/* What the held keys of all lanes of a worker take. A lane that is to hold one
 * more halts once it is full, so that it grows beyond [most] by no more than the
 * keys of the batches that are under way. */
struct held_pool {
    uint64_t bytes;
    uint64_t most;
};

/* Records set aside for one key. */
struct held {
    uint32_t n;
    int64_t first; /* offset of the first one: the others wait behind it */
};

struct dossier {
    struct dossier *next;
    char *topic; /* owned */
    int32_t partition;

    /* -- dead letters */
    struct hash keys;  /* that are held */
    struct held *held; /* owned; by number of the key */
    uint32_t cap_held;
    struct arena bytes;     /* of keys */
    struct held_pool *pool; /* borrowed; NULL: nobody counts (specs) */
    uint64_t counted;       /* what they take there */
    uint32_t n_letters;     /* of the lane in the table, held ones included */
    bool wants_retry;       /* a person asked for some of them */
    uint32_t retry_most; /* records in the next retry; 0: as many as a batch */
    usec letters_since;  /* the first retry that lost against others, */
    bool is_retry_told;  /* and there was a line about it */

    /* -- failures */
    struct guard guard;
    uint64_t n_seen; /* records that the position moved over */
    bool was_halted; /* a person looks at it: failures before do not count */

    /* -- the record that the database refuses, alone in its transaction */
    bool has_refused;
    int64_t refused; /* its offset */
    enum failure_action verdict;
    struct err why;       /* what the database said */
    usec suspected_since; /* the search for it; 0: nothing is suspected */
    usec wrote_at;        /* the last commit that wrote rows of the lane */

    /* -- its position is not moved: see fence.h */
    int64_t fenced_epoch; /* of the last time, */
    int64_t fenced_at;    /* and where it stood */
    uint32_t n_fenced;    /* in a row, with no claim but ours between */

    /* -- other transactions: see conflict.h */
    usec waits_since;     /* the first batch that lost, of those since the lane
                           moved; 0: it waits for nobody */
    char waits[200];      /* for whom, for people */
    bool is_shown;        /* for so long that people see it, */
    bool is_told;         /* and that there was a line about it */
    bool is_slow;         /* or about a batch of it that gets no answer */
    uint32_t n_lost;      /* batches in a row, when the lane was alone, */
    uint32_t n_tried;     /* and attempts of all of them */
    uint32_t n_missed;    /* TM002 in a row, for one record alone, */
    uint32_t n_unproven;  /* and proofs of it that showed nothing */
    uint32_t n_cancelled; /* 57014 of one record alone */
    bool is_unknown;      /* people were told that nobody can say why */
};

/* The lane's dossier in the list, made if new. */
struct dossier *dossier_of(struct dossier **list, const char *topic,
                           int32_t partition, uint32_t max_failed);
void dossiers_free(struct dossier *list);
/* Forgets its held keys, and gives their memory back. */
void dossier_forget(struct dossier *d);
/* Its wait for other transactions is over, or was in another life of the lane. */
void dossier_waits_no_more(struct dossier *d);
/* The lane was claimed: keys are loaded anew, what the database refused is
 * tried again, and after a halt failures are counted from nothing. */
void dossier_renew(struct dossier *d);
/* [n] more records of the key are set aside; [first]: the offset of the first
 * one, if the key was not held. */
void dossier_hold(struct dossier *d, const char *key, uint32_t len, uint32_t n,
                  int64_t first);
/* The key's entry, or NULL: it is not held. */
const struct held *dossier_find(const struct dossier *d, const char *key,
                                uint32_t len);
/* May one more key be held? */
bool dossier_has_room(const struct dossier *d);
/* Why the lane halts where not, for people; [reason]: of its record. */
const char *dossier_full(const struct dossier *d, struct arena *a,
                         const char *reason);

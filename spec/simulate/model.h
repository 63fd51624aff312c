#pragma once
/*
 * What must hold, held against the database at each commit; what must hold of the
 * workers is in look.h.
 *
 * The model knows each record: whether it is applied, set aside, or yet to
 * come. A commit may move positions forward; each record below the new position
 * was then applied by it, or set aside in it. What it applied is folded into
 * rows of the model's own, and the rows of the database must be those.
 */
#include "db.h"

enum { CHAINS_MOST = 64, OWNERS_MOST = 8 };

/* How a record is bad. */
enum bad { BAD_NOT, BAD_SCRIPT, BAD_VALUE };

enum fate { FATE_TO_COME, FATE_APPLIED, FATE_ASIDE, FATE_GIVEN_UP };

struct facts {
    uint32_t chain, owner;
    int64_t v;
    enum bad bad;
    enum fate fate;
};

struct broker_record;

void model_open(void);
/* Appends one by chance; as many are bad as [faults] says. */
void model_append(void);
/* The transaction is about to commit. */
void model_commits(struct tx *t);
/* A person moves a lane over records; or discards a letter, which no mending
 * would help. */
void model_skipped(uint32_t partition, int64_t from, int64_t to);
void model_given_up(const struct broker_record *r);
/* A person gave a row of CHAINS or TOTALS another n, or deleted one of CHAINS. */
void model_edited(const struct row *r);
bool model_is_hopeless(const struct broker_record *r);
/* Records that are neither applied nor set aside. */
uint32_t model_left(void);
/* Into the trace. */
void model_tell(void);
/* There are none, nor letters, and each lane has a row. */
bool model_is_done(void);
/* Records that were applied, and set aside; commits of workers. */
struct model_counts {
    uint64_t applied, aside, retried, given_up, commits, claims;
};
extern struct model_counts model_counts;

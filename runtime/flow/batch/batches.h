#pragma once
/* The batches of a worker, in lists by state. */
#include "base/list.h"
#include "flow/batch/batch.h"

enum { BATCHES_MOST = 8 };

struct batches {
    struct batch all[BATCHES_MOST]; /* [n] */
    uint32_t n;
    struct list free;
    struct list decoding;
    struct list ready;
    struct list busy; /* the database has it */
    struct list resolving;
    struct list waiting;
};

/* The first [n] of all, which batch_init() made, are free. */
void batches_open(struct batches *s, uint32_t n);
/* The only writer of batch->state. True: it is in the list of those that are
 * busy. */
bool batches_move(struct batches *s, struct batch *b, enum batch_state to);
/* The oldest of a list; NULL: there is none. */
struct batch *batches_first(const struct list *l);
/* The oldest that may go on by now (tries.retry_at); NULL: none may. */
struct batch *batches_due(const struct list *l, usec now);

#pragma once
/*
 * What runs the batches of a worker: where they are kept, and what all of them
 * use. Each batch has it as batch->run. Who calls whom: see transact.h.
 *
 * It calls nothing that stands above it: whoever opens it gives batches their
 * lanes and connections, in the turn that worker_wake() asks for.
 */
#include "flow/batch/batches.h"
#include "flow/table/cache_ring.h"
#include "flow/table/writer.h"
#include "flow/worker/worker.h"

struct halts;
struct letters;
struct publish;

struct run {
    struct worker *worker;   /* borrowed */
    struct halts *halts;     /* borrowed */
    struct letters *letters; /* borrowed */
    struct publish *publish; /* borrowed */

    struct batches batches;  /* owned */
    struct writer writer;    /* owned; buffers shared by all batches */
    struct cache_ring cache; /* owned; without a ring: nothing is cached */
    usec committed_at;       /* the last commit */
    usec took; /* a transaction, lately: rises at once, falls slowly */
    char rule_fault[200]; /* what people were told of the failure rule */
    uint32_t troubles;    /* halts for want of tables or rights, in a row */
};

/* What is borrowed is set before. [ask]: of each batch. */
void run_open(struct run *run, void (*ask)(struct batch *b, uint32_t event));
void run_close(struct run *run);

/* Moves it to the list of that state, and asks for another turn. */
void run_move(struct batch *b, enum batch_state to);
/* Gives the batch's connection back, if it has one, and its lanes, and frees
 * the batch. */
void run_release(struct batch *b);
/* Frees the generation before, once no batch is of it. */
void run_retire(struct run *run);
/* A batch has the lane, which is free. */
void run_lease(struct lane *lane);

#pragma once
/*
 * Dead letters of the lanes that we own: written with the batch that moves
 * over their records; which keys they hold, loaded when a lane is claimed,
 * before its first batch; and the look, once a second while there are any, for
 * what a person wants to be tried again (flow/engine/redo.h does it).
 */
#include "base/log.h"
#include "base/loop.h"
#include "flow/batch/batch.h"

struct engine;

struct letters {
    struct pgconn *conn;  /* taken while a question is asked; NULL: none is */
    uint32_t ticket;      /* of the breaker, with it */
    struct arena arena;   /* of the question */
    int64_t *epochs;      /* arena; theirs, when they were asked about */
    struct record *lanes; /* arena; where they are: topic and partition */
    uint32_t n;
    bool is_single;    /* one lane a question: all at once were too much */
    usec ask_at;       /* for retries */
    uint32_t n_failed; /* set aside and not yet told */
    uint32_t n_held;
    usec tell_at;
    struct said told; /* why they cannot be read to be tried again: see
                         log_once */
};

/* Makes the rows of everything that the batch sets aside; their bytes. */
uint64_t letters_make(struct batch *b);
/* Queues them. */
void letters_write(struct batch *b);
/* Of batch_of_letters, behind them: queues the end of what it applies. */
void letters_end(struct batch *b);
/* A batch_of_records is committed: what is known of the lanes. */
void letters_committed(struct batch *b);
/* Asks what is to be asked; called every turn. */
void letters_turn(struct engine *g);
void letters_close(struct letters *l);

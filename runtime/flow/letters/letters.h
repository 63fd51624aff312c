#pragma once
/*
 * Dead letters of the lanes that we own: written with the batch that moves
 * over their records; which keys they hold, loaded when a lane is claimed,
 * before its first batch; and the look, once a second while there are any, for
 * what a person wants to be tried again (flow/run/letters_retry.h does it).
 */
#include "base/log.h"
#include "flow/batch/batch.h"
#include "flow/worker/worker.h"

struct halts;

struct letters {
    struct worker *worker; /* borrowed, as the next one */
    struct halts *halts;
    struct pgconn *conn;  /* taken while a question is asked; NULL: none is */
    uint32_t ticket;      /* of the breaker, with it */
    struct arena arena;   /* of the question */
    int64_t *epochs;      /* arena; theirs, when they were asked about */
    struct record *lanes; /* arena; where they are: topic and partition */
    uint32_t n;
    bool is_single;    /* one lane a question: all at once were too much */
    usec ask_at;       /* for retries */
    uint32_t n_failed; /* set aside and not yet told, */
    uint32_t n_held;
    char place[320]; /* the first of them that failed, else the first held */
    char why[700];
    usec tell_at;
    struct said logged; /* why they cannot be read to be tried again: see
                         log_once */
};

void letters_open(struct letters *l, struct worker *w, struct halts *h);
/* Makes the rows of everything that the batch sets aside; their bytes.
 * [header_at]: how the headers of its records are listed. */
uint64_t letters_make(struct batch *b, record_header_at_fn header_at);
/* Queues them. */
void letters_write(struct batch *b);
/* Of batch_of_letters, behind them: queues the end of what it applies. */
void letters_end(struct batch *b);
/* A batch_of_records is committed: what is known of the lanes. */
void letters_committed(struct letters *l, struct batch *b);
/* Asks what is to be asked; called every turn. */
void letters_turn(struct letters *l);
void letters_close(struct letters *l);

#pragma once
/*
 * The engine of a worker: what moves batches from lanes to the database.
 *
 * A turn does a bounded piece of everything that can be done now: news
 * of the consumer, records into inboxes, a slice of decoding, connections for
 * ready batches, new leases. It runs when something wakes it and, while there
 * is more to do, once a turn of the loop. Everything else happens in replies
 * of the database (flow/run/transact.c, flow/claim/claim.c).
 *
 * A position moves only in the transaction that writes every record below it.
 */
#include "base/loop.h"
#include "flow/claim/claim.h"
#include "flow/claim/topics.h"
#include "flow/halt/halts.h"
#include "flow/letters/letters.h"
#include "flow/publish/publish.h"
#include "flow/run/run.h"
#include "flow/waits/waits.h"
#include "flow/worker/worker.h"

struct engine {
    struct worker worker; /* loop, random, now, show, owner, instance: set */

    struct run run; /* of its batches */

    struct claim claim;
    struct topics topics;
    struct halts halts;
    struct loop_timer *tick; /* owned; heartbeat, retries, linger */
    struct loop_timer *due;  /* owned; the next batch by linger */
    usec lanes_shown_at;     /* when all were, last; */
    bool has_lag;            /* and some had records to come */
    struct letters letters;
    struct publish publish;
    struct waits waits;
    bool had_alone; /* the last batch was of such a lane: lease_pick */
    usec last_commit_note;
};

/* What struct worker says is set before. */
void engine_open(struct engine *g);
void engine_close(struct engine *g);
/* Takes no new work; true when nothing is in flight any more, and what is known
 * of halts is written. */
bool engine_stop(struct engine *g);

/* -- for the files of the engine -- */

/* Opens the consumer, once the database is as the plan wants it. */
void engine_join(struct engine *g);

#pragma once
/*
 * Halts: lanes that are not read on. A halt is a state that others do not
 * notice: it has words, one line in the log, and an end. Time ends it
 * (lane->pause_until), or a person: whoever changes a lane in tidemill.lane raises
 * its epoch, which is looked at once a second and makes this worker claim the
 * lane again. Idle lanes are looked at too: no batch of theirs would notice.
 *
 * A halt for a person is also written to tidemill.lane, so that it outlives
 * this process: by the batch that met it, in its transaction, or as a note,
 * which is tried until it is written. A worker that is told to stop writes its
 * notes first, as long as it has time; what is left it says. Such a halt is
 * of what is found anew (verify.h), or of records that fail again.
 */
#include "base/log.h"
#include "base/loop.h"
#include "postgres/store/position.h"

struct engine;
struct lane;
struct halt_note;

struct halts {
    struct pgconn *conn;     /* taken while something runs; NULL: nothing */
    uint32_t ticket;         /* of the breaker, with it */
    struct halt_note *notes; /* owned; to be written */
    uint32_t n_notes;
    uint32_t n_sent;        /* of them, under way */
    uint32_t failures;      /* to write them, in a row */
    struct said told;       /* why the last one failed */
    usec write_at;          /* not before */
    struct position *asked; /* owned; lanes whose epochs are asked for */
    uint32_t n_asked;
    bool has_list; /* all lanes are asked for too: partitions are gone */
    usec look_at;
};

/* Has a halt written to tidemill.lane, as position_halt does. */
void halt_note(struct engine *g, const struct position *at, const char *why,
               const char *generation);
/* The lane was claimed again, by us alone, before its halt was written: it
 * still holds, and is to be written with the new epoch. */
void halt_recall(struct engine *g, struct position *at);
/* All that is known of halts is in tidemill.lane. */
bool halt_is_written(const struct halts *h);
/* Doubts a lane that Kafka cannot read on, and halts one whose partition holds
 * other records than those that were read. */
void halt_look(struct engine *g, struct lane *l);
/* Ends halts whose time has come, writes notes and looks for what people changed;
 * called every tick. */
void halt_tick(struct engine *g, usec now);
void halt_close(struct halts *h);

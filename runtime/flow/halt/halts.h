#pragma once
/*
 * Halts: lanes that are not read on. A halt is a state that others do not
 * notice: it has words, one line in the log, and an end. Time ends it
 * (lane->pause_until), or a person: whoever changes a lane in tidemill.lane
 * raises its epoch, which is looked at once a second and makes this worker
 * claim the lane again. Idle lanes are looked at too: no batch of theirs would
 * notice.
 *
 * A halt for a person is also written to tidemill.lane, so that it outlives
 * this process: by the batch that met it, in its transaction, or as a note,
 * which is tried until it is written. A worker that is told to stop writes its
 * notes first, as long as it has time; what is left it says. A halt
 * that was not written is found again by the next claim (verify.h), or by the
 * records that fail again.
 */
#include "base/log.h"
#include "flow/worker/worker.h"
#include "postgres/store/position.h"

struct halt_note;
struct pg_result;

/* Of who claims, and wants to see all lanes of tidemill.lane now and then. */
struct halts_needs {
    /* Is the list to be asked for with the look that comes? */
    bool (*wants_list)(void *arg);
    /* It was: the answer to position_list. */
    void (*listed)(void *arg, const struct pg_result *lanes);
    void *arg; /* borrowed */
};

struct halts {
    struct worker *worker; /* borrowed */
    struct halts_needs needs;
    struct pgconn *conn;     /* taken while something runs; NULL: nothing */
    uint32_t ticket;         /* of the breaker, with it */
    struct halt_note *notes; /* owned; to be written */
    uint32_t n_notes;
    uint32_t n_sent;        /* of them, under way */
    uint32_t failures;      /* to write them, in a row */
    struct said logged;     /* why the last one failed */
    usec write_at;          /* not before */
    struct position *asked; /* owned; lanes whose epochs are asked for */
    uint32_t n_asked;
    bool has_list; /* all lanes are asked for too: see halts_needs */
    usec look_at;
};

void halts_open(struct halts *h, struct worker *w,
                const struct halts_needs *needs);
/* The lane waits for a person, who knows of it already: [since], Unix time; 0:
 * from now on. */
void halts_lane(struct halts *h, struct lane *lane, const struct err *e,
                int64_t since);
/* The lane waits until then; one that waits for a person still does. */
void halts_until(struct halts *h, struct lane *lane, usec until,
                 const struct err *e);
/* It waits for a person, and a restart does not end that: it is written to
 * tidemill.lane. [scripts_of]: hash of the generation whose scripts made it; the
 * claim of another one ends the halt, since it may do better. NULL: none did. */
void halts_for_person(struct halts *h, struct lane *lane, const struct err *e,
                      const char *scripts_of);
/* Has a halt written to tidemill.lane, as position_halt does. */
void halts_note(struct halts *h, const struct position *at, const char *why,
                const char *generation);
/* The lane was claimed again, by us alone, before its halt was written: it
 * still holds, and is to be written with the new epoch. */
void halts_renew_note(struct halts *h, struct position *at);
/* All that is known of halts is in tidemill.lane. */
bool halts_are_written(const struct halts *h);
/* Doubts a lane that Kafka cannot read on, and halts one whose partition holds
 * other records than those that were read. */
void halts_look(struct halts *h, struct lane *l);
/* Ends halts whose time has come, writes notes and looks for what people changed;
 * called every tick. */
void halts_tick(struct halts *h, usec now);
void halts_close(struct halts *h);

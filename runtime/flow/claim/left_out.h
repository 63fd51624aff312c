#pragma once
/*
 * Lanes that cannot be claimed now, while others can: their row of
 * tidemill.lane is locked or refused, Kafka does not tell what their partition
 * holds, or has none. Such a lane is left out of the claim, which goes on: it
 * is not read, nor waited for. It is shown with its reason, told once, and
 * claimed again after a pause that grows to two seconds; where the others had
 * to wait for it, by itself and after twice that time.
 */
#include <stdbool.h>

#include "base/loop.h"
#include "flow/lane/lane.h"

struct worker;

/* What one claim says of those that it leaves out. */
struct left_out {
    uint32_t n_logged;   /* lines about them, */
    uint32_t n_unlogged; /* and lanes without one */
    char why[240];       /* the last one of them */
};

bool left_out_wants_claim(const struct lane *l, usec now);
/* Does any? */
bool left_out_any_wants_claim(const struct lanes *ls, usec now);
/* Of those lanes: does Kafka have to be asked for their partitions first? */
bool left_out_wants_look(const struct lane *l);
/* Does the claim of lanes that others had to wait for come now, and of them alone?
 * When no other wants one, or once one of them is overdue: hundreds whose rows
 * are locked want one all the time. */
bool left_out_is_turn_of_slow(const struct lanes *ls, usec now);
/* Leaves out [l], which the claim has, until it is claimed again: [e] says why.
 * [took]: how long the others had to wait for it, so that the pause is twice that. */
void left_out_put(struct left_out *o, struct worker *w, struct lane *l,
                  const struct err *e, usec took);
/* Leaves out a lane that wants a claim, when Kafka has no partition of it
 * ([is_gone]), or none with a leader. */
bool left_out_gone(struct worker *w, struct lane *l, bool is_gone);
/* The same of a lane that was read, or waits for something else. False: not yet,
 * since it is at work. */
bool left_out_lost(struct worker *w, const char *topic, int32_t partition);
/* The lane is about to be read. */
void left_out_taken(struct left_out *o, const struct lane *l);
/* Says of how many more lanes nothing was said. */
void left_out_end(struct left_out *o);

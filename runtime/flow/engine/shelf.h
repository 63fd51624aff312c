#pragma once
/*
 * Lanes that cannot be claimed now, while others can: their row of tidemill.lane
 * is locked or refused, Kafka does not tell what their partition holds, or has
 * none. Such a lane is left out of the claim, which goes on: it is not read, nor
 * waited for. It is shown with its reason, told once, and claimed again after a
 * pause that grows to two seconds; where the others had to wait for it, by itself and
 * after twice that time.
 */
#include <stdbool.h>

#include "base/loop.h"
#include "kafka/source.h"

struct engine;

bool shelf_wants_claim(const struct lane *l, usec now);
/* Of those lanes: does Kafka have to be asked for their partitions first? */
bool shelf_wants_look(const struct lane *l);
/* Does the claim of lanes that others had to wait for come now, and of them alone?
 * When no other wants one, or once one of them is overdue: hundreds whose rows are
 * locked want one all the time. [first]: of all lanes. */
bool shelf_is_turn_of_slow(const struct lane *first, usec now);
/* Leaves [l] out, until it is claimed again: [e] says why. [took]: how long the
 * others had to wait for it, which they shall not for most of the time. */
void shelf_put(struct engine *g, struct lane *l, const struct err *e,
               usec took);
/* Leaves out lanes that Kafka has no partition of, or none with a leader. */
void shelf_gone(struct engine *g, usec now);
/* The same of a lane that was read, or waits for something else. False: not yet,
 * since it is at work. */
bool shelf_lost(struct engine *g, const char *topic, int32_t partition);
/* The lane is about to be read. */
void shelf_taken(struct engine *g, const struct lane *l);
/* Does any lane of ours run? Then a refusal is not everybody's. */
bool shelf_is_any_read(struct engine *g);
/* Says of how many more lanes nothing was said. */
void shelf_end(struct engine *g);

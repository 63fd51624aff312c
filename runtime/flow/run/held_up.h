#pragma once
/*
 * Lanes that wait for other transactions, or for an answer of the database, as
 * people see them: what their batches note, and one line once it lasts.
 */
#include "flow/run/run.h"

/* A wait that lasts so long is told and shown. */
enum { HELD_UP_TELL_USEC = 4000000 };

/* The batch lost against another transaction, or gets no answer. A retry of
 * letters that lost keeps no lane waiting, only whoever asked for it. [what] and
 * [why]: for people. */
void held_up_note(struct batch *b, bool is_lost, const char *what,
                  const char *why);
/* Tells people of lanes that have waited for seconds. */
void held_up_tick(struct run *run, usec now);

#pragma once
/*
 * Finds out which deaths of workers a record caused. There are two kinds: a crash
 * (SIGSEGV, SIGBUS, SIGILL, SIGABRT, which the worker itself raised) while a
 * handler ran, and a handler that does not return. The worker says at which
 * record it is (flow/batch/poison.h). No other death is a record's: out of
 * memory, kill -9, a stop of the machine.
 *
 * A worker without a sign of life is asked at a quarter of the heartbeat limit.
 * A run over several records then ends before its next one (poison.h), and
 * the record at which the worker is gets a whole limit. The worker is asked
 * again at half of that limit and just before its end. If both answers name the
 * same record, and the main thread used the CPU in between, it is stuck in a
 * handler and is killed. A worker that was suspended is killed too, but no
 * record is blamed. If the answers name different records the worker gets on; it
 * is left alone for another limit, but not for ever.
 */
#include "supervise/slot.h"

/* Looks at a worker, every tick; true: it has stood still for too long, and the
 * caller is to kill it. */
bool watchdog_look(struct slot *w, struct page *p, usec now);
/* The worker in [w] ended; before slot_clear_page(). Counts and logs a death
 * that a record caused; the lanes over which scripts ran get smaller batches
 * from now on. */
void watchdog_death(const struct slot *w, struct page *p, int wait_status);

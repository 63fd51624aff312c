#pragma once
/*
 * Which deaths of workers are the doing of a record. Two kinds are: a crash
 * (SIGSEGV, SIGBUS, SIGILL, SIGABRT, of the worker's own making) while a
 * handler ran, and a handler that does not return. The worker itself says at
 * which record it is (flow/batch/condemned.h). Any other death says nothing: out of
 * memory, kill -9, a stop of the machine.
 *
 * A worker without a sign of life is asked at a quarter of the heartbeat limit:
 * its run over several records then ends before the next one (condemned.h), and
 * the record at which it is has a whole limit. It is asked again at half of that
 * and just before its end. It is stuck in a handler when both find it at the
 * same record and its main thread used the CPU in between; one that was
 * suspended is killed too, but no record is blamed. One that was found at
 * different records gets on, and is left alone for another limit, but not for
 * ever.
 */
#include "supervise/slot.h"

/* Looks at a worker, every tick; true: it has stood still for too long, and is
 * to be killed. */
bool strikes_look(struct slot *w, struct page *p, usec now);
/* The worker in [w] ended; before slot_clear_page(). Counts and logs a death
 * that was the doing of a record; the lanes over which scripts ran have smaller
 * batches from now on. */
void strikes_death(const struct slot *w, struct page *p, int wait_status);

#pragma once
/*
 * Standard error without waiting for whoever reads it. A pipe whose reader
 * stands still would hold every process that writes to it, and with it the
 * batches, the heartbeat and the answer to SIGTERM.
 *
 * Process-wide state: how descriptor 2 is written, whether it is stuck, and
 * whether a live line stands there.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * From now on no write waits: pipes and terminals are opened a second time,
 * since O_NONBLOCK belongs to all who share the first. Again in a child whose
 * descriptors were closed or changed.
 */
void stderr_never_wait(void);
/*
 * Writes all of [text]. False: it was not taken, or not all of it; a line that
 * was cut is ended before the next one. Before stderr_never_wait() it waits
 * as write(2) does; after it at most 50 ms, and not at all while what was
 * written before was not taken either.
 */
bool stderr_write(const char *text, size_t len);

/* A line at the bottom of a terminal, without an end: it is gone before the next
 * text is written, and when it is drawn anew, since it begins with this. */
#define STDERR_CLEAR "\r\x1b[K"
void stderr_draw(const char *line, size_t len);
void stderr_clear(void);

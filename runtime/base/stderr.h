#pragma once
/*
 * Writes to standard error without waiting for its reader. A pipe whose reader
 * stands still would stop every process that writes to it, and with it the
 * batches, the heartbeat and the answer to SIGTERM.
 *
 * Process-wide state: how descriptor 2 is written, whether it is full, and
 * whether a live line stands there.
 */
#include <stdbool.h>
#include <stddef.h>

/*
 * From now on no write waits. Pipes and terminals are opened a second time,
 * since O_NONBLOCK on the first would hold for all processes that share it. To
 * be called again in a child whose descriptors were closed or changed.
 */
void stderr_never_wait(void);
/*
 * Writes all of [text]. False: nothing or only a part of it could be written; a
 * line that was cut is ended before the next one. Before stderr_never_wait()
 * it waits as write(2) does; afterwards 50 ms at most, and not at all when the
 * last write failed too.
 */
bool stderr_write(const char *text, size_t len);

/* A line at the bottom of a terminal, without an end: it is gone before the next
 * text is written, and when it is drawn anew, since it begins with this. */
#define STDERR_CLEAR "\r\x1b[K"
void stderr_draw(const char *line, size_t len);
void stderr_clear(void);

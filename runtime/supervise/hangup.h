#pragma once
/*
 * What a SIGHUP means. From `kill` or `systemctl reload` it asks for a reload;
 * where the terminal of the run has gone, the run is to end, as everything that
 * was started there. Under `nohup` it never ends a run.
 */
#include <stdbool.h>

struct hangup {
    bool is_ignored;   /* when the run began */
    bool has_terminal; /* then, to lose it */
};

/* Before somebody takes the signal. */
void hangup_init(struct hangup *h);
/* One came: is it the terminal's end? */
bool hangup_ends(const struct hangup *h);

#pragma once
/*
 * What `ps` shows of a process. The supervisor keeps the words it was started
 * with behind its own, so that `pgrep -f` finds it by them as before.
 */

/* Before anybody keeps a pointer into arguments or environment, which move. */
void title_init(int argc, char **argv);
/* "tidemill: supervisor NAME: WORDS" */
void title_supervisor(const char *pipeline);
/* "tidemill: worker 1 NAME", and a name of its own for `top` and `pgrep`. */
void title_worker(unsigned slot, const char *pipeline);

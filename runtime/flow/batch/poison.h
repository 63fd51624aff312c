#pragma once
/*
 * Records that killed workers. A worker that crashes, or is asked by the
 * supervisor because it shows no life, says in the page which record's handler
 * ran; the supervisor counts (supervise/watchdog.h), and a record at which two
 * workers died is not tried a third time.
 *
 * The loops over events pay nothing for it: they keep batch.current in the
 * worker's own memory anyway, and a signal handler copies it out.
 */
#include "flow/batch/batch.h"
#include "model/page.h"

/* Once in a worker: takes the signals of crashes, and SIGUSR1 of the
 * supervisor. */
void poison_watch(struct page *p, uint32_t slot);
/*
 * Scripts run over this batch from here on, until poison_scripts_end(). Its
 * lanes are marked in the page, and whoever dies now makes their next batches
 * smaller (supervise/watchdog.h); a batch of several records is told by the
 * supervisor's question that it is late.
 */
void poison_scripts_begin(struct batch *b);
void poison_scripts_end(void);
/* Poison records of the batch fail (ERR_SCRIPT). Called when all
 * are decoded and before any script runs. */
void poison_apply(struct batch *b);

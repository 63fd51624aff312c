#pragma once
/*
 * Dead letters are tried again by the owner of their lane, between batches and
 * by the normal path: a batch whose records come from tidemill.dead_letter.
 * Its transaction fences the lane, which stays where it is, applies the
 * records in the order of their offsets and deletes their letters; what fails
 * again stays, with its key held. Nothing else of the lane runs meanwhile, so
 * a record of the key that arrives finds it held, or its letters gone.
 */
#include "flow/run/run.h"

/* Begins a retry when one is wanted and a batch is free; called every turn. */
void letters_retry_turn(struct run *run);
/* A retry is committed; its lane's held keys are looked up again. */
void letters_retry_committed(struct batch *b);

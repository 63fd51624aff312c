#pragma once
/*
 * What must hold of workers behind each step: each batch is in the list of its
 * state, no lane in two batches, every connection and ticket that is taken is
 * somebody's; and, once a second, that whatever stands has a reason that people
 * see.
 */
#include "proc.h"

void look_open(void);
void look(struct proc *const *procs, uint32_t n);

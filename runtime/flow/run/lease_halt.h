#pragma once
/*
 * Lanes that halt in a batch, before a record of it that is neither applied nor
 * set aside: written by its transaction, and carried out once that is committed.
 */
#include "flow/run/run.h"

/* Queues what the transaction is to say of them. */
void lease_halt_write(struct batch *b);
/* The lane halts, if it is to. */
void lease_halt_committed(struct batch *b, const struct lease *l);

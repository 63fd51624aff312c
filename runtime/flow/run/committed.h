#pragma once
/*
 * What follows a COMMIT: the one list of all that learns of it, in one order.
 */
#include "flow/run/run.h"

/* The batch is in the database, or had nothing to commit; it is released.
 * [reply]: to COMMIT; NULL: it was not read, or nothing was sent. */
void batch_committed(struct batch *b, const struct pgreply *reply);
/* Of batch_of_records: its letters, its lanes' positions, and what is counted. */
void committed_records(struct batch *b);

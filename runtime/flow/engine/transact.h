#pragma once
/*
 * The steps of one batch on one connection: load, fold, write, commit, and
 * what each outcome means. See the outcome table in runtime/README.md.
 */
#include "flow/engine/engine.h"

/* A ready batch got its connection. */
void transact_start(struct batch *b, struct pgconn *c);
/* COMMIT's outcome is unknown and the batch has a new connection: asks the
 * lanes' positions, with a claim that waits behind the old transaction. */
void transact_resolve(struct batch *b, struct pgconn *c);

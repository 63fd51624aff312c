#pragma once
/*
 * COMMIT was sent, and nobody knows what became of it: the lanes' positions
 * tell. The claim that asks for them waits behind the old transaction, and
 * fences it.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* Queues the question on the batch's new connection. */
struct next resolve_ask(struct batch *b);
struct next resolve_answered(struct batch *b, const struct pgreply *reply);

#pragma once
/*
 * The driver of a batch: it alone takes a batch from one step to the next, for
 * as long as the batch has a connection.
 *
 *   transact_start     compare.c, if the tables are to be compared
 *                      attempt.c: load, fold, write, COMMIT
 *   transact_resolve   resolve.c: what became of a COMMIT
 *
 * Each step returns what comes next (next.h), also what went wrong: the steps
 * ask outcome.c, which asks compare, fence, conflict, isolate and the failure
 * rule (rule.c). Files call only those that stand before them in this order:
 * compare, fence, row_cache, isolate, held_up, conflict, rule, outcome, attempt
 * and resolve, committed, transact.
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

/* A ready batch got its connection. */
void transact_start(struct batch *b, struct pgconn *c);
/* COMMIT's outcome is unknown and the batch has a new connection. */
void transact_resolve(struct batch *b, struct pgconn *c);
/* Does what is next; not NEXT_ON. */
void transact_go(struct batch *b, struct next n);

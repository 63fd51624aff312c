#pragma once
/*
 * What becomes of a batch when the database has answered (or has not). The
 * class of the error alone decides:
 *
 *   committed            lanes move on
 *   tables (TM003)       they are compared anew (compare.h), then again
 *   fenced (TM001)       that lane is claimed again, the others go back
 *   unknown COMMIT       the lanes' positions tell: done, or again
 *   anything else        as the failure rule says (isolate.h)
 */
#include "flow/engine/engine.h"
#include "postgres/store/position.h"

/* Queues what the transaction is to say of lanes that halt in it. */
void outcome_write_halts(struct batch *b);
void outcome_committed(struct batch *b);
void outcome_failed(struct batch *b, const struct pgreply *reply);
/* We refuse the batch ourselves, between two flushes. */
void outcome_refused(struct batch *b, const struct err *e);
/* The same, since it is more than goes into a transaction: less at a time may
 * fit. */
void outcome_too_much(struct batch *b, const struct err *e);
/* The tables do not fit the plan. */
void outcome_unfit(struct batch *b, const struct err *e);
/* Every lane halts before its first record: there is nothing to commit. */
void outcome_empty(struct batch *b);
/* A record failed inside an open transaction: roll back, go on without it. */
void outcome_again(struct batch *b);
/* The failure rule wants the records that failed tried again later. */
void outcome_wait(struct batch *b);
void outcome_still_unknown(struct batch *b, const struct err *e);
void outcome_resolved(struct batch *b, const struct position *at);

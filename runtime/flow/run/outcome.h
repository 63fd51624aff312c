#pragma once
/*
 * What becomes of a batch that failed. The class of the error alone decides:
 *
 *   tables (TM003)       they are compared anew (compare.h), then again
 *   fenced (TM001)       that lane is claimed again, the others go back (fence.h)
 *   too much             its records come in smaller batches (isolate.h)
 *   a race (conflict)    again, then lane by lane (conflict.h)
 *   unknown COMMIT       the lanes' positions tell: done, or again (resolve.h)
 *   anything else        as the failure rule says (rule.h)
 */
#include "flow/run/next.h"
#include "flow/run/run.h"

struct next outcome_failed(struct batch *b, const struct pgreply *reply);
/* We refuse the batch ourselves, between two flushes. */
struct next outcome_refused(struct batch *b, const struct err *e);
/* The same, since it is more than goes into a transaction: less at a time may
 * fit. */
struct next outcome_too_much(struct batch *b, const struct err *e);
/* The tables do not fit the plan. */
struct next outcome_unfit(struct batch *b, const struct err *e);
/* Every lane halts before its first record: there is nothing to commit. */
struct next outcome_empty(struct batch *b);
/* The failure rule wants the records that failed tried again later. */
struct next outcome_wait(struct batch *b);
/* The tables were asked (BATCH_DOUBTING), and are as compared. */
struct next outcome_undoubted(struct batch *b);

#pragma once
/*
 * The tables as they were compared with the plan (flow/generation/compared.h).
 * A batch is committed only if they are still that (postgres/store/shape.h):
 * otherwise it ends with TM003, and whoever begins next compares anew. What
 * does not fit halts its lanes with the words of `check`; they look again now
 * and then, and go on once it fits.
 *
 * A batch that began before a comparison found another shape is done again: it
 * may have loaded rows of what was there before.
 */
#include "base/err.h"
#include "postgres/wire/conn.h"

struct batch;

/* The batch has a connection and begins. False: the tables are to be compared
 * first, and its connection is to be asked what is queued. */
bool compare_begin(struct batch *b);
/* That was answered: false with [e] (ERR_SCHEMA) when they do not fit. */
bool compare_answered(struct batch *b, const struct pgreply *r,
                      struct err *e) MUSTCHECK;
/* The last statements before COMMIT; [keeps]: rows are to be kept. */
void compare_check(struct batch *b, bool keeps);
/* They may be other tables than the batch began with: it must begin again. */
bool compare_is_outdated(const struct batch *b);
/* The batch failed because the tables changed, or with what a change would
 * explain: they are compared before it is done again. True: that is all that
 * is to be done about the failure. */
bool compare_explains(struct batch *b, const struct err *e);
/* The batch failed with what may come of tables that changed, or ends without
 * a transaction: are they as compared? True: its connection is to be asked what
 * is queued. False: nothing can be asked. */
bool compare_before_blame(struct batch *b);

#pragma once
/* The part of `check` that looks at Kafka: what the topics hold, and whether
 * the connector behind them was set up as the pipeline says. */
#include "base/plan.h"

/*
 * Prints what each topic holds on stdout and what does not fit on stderr; how
 * many problems there are. When Kafka does not answer within seconds, that is
 * said in one line and is no problem.
 */
int check_records(struct plan *p);

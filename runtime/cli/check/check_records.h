#pragma once
/* The part of `check` that looks at Kafka: what the topics hold, and whether
 * the connector behind them was set up as the pipeline says. */
#include "base/err.h"
#include "model/plan.h"

struct vm;
struct check_list;

/*
 * [vm] has loaded [p]. Prints what each topic holds on stdout and what does not
 * fit on stderr; the exit status that comes of it: EX_OK, EX_CONFIG, or
 * EX_UNAVAILABLE when Kafka does not answer within seconds. [list] gets what is
 * found.
 */
int check_records(const struct plan *p, struct vm *vm,
                  struct check_list *list) MUSTCHECK;

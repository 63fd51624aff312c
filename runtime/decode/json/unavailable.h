#pragma once
/*
 * What Debezium writes for a large value that an UPDATE did not change: its
 * unavailable.value.placeholder, in a form that the value's type can take. The
 * column then stays as it is. Pure.
 */
#include <stdbool.h>

#include "model/api.h"
#include "model/plan.h"

/* [c], a text, an array or object, or the literal of an array, is one of the
 * forms in the set [forms] of 1 << enum plan_placeholder_form. [u] NULL: those
 * of the connector's default. */
bool unavailable_is(const struct plan_placeholder *u, const struct tm_cell *c,
                    unsigned forms);

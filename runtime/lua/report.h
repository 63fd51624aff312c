#pragma once
/* What a verb prints of the bundle that a VM loaded last, where the scripts
 * make it up: scripts/tidemill/connector.lua and summary.lua. */
#include <stdint.h>

#include "base/err.h"

struct vm;

/* What the user said, by its name; NULL: nothing. */
struct report_word {
    const char *name;
    const char *value;
};

struct vm_report {
    char *out; /* owned, for stdout; NULL: there is nothing of what was asked */
    char *err; /* owned, for stderr; NULL: nothing */
};

/* [verb] is a function of boot.lua. False with e: nothing needs to be closed. */
bool vm_report(struct vm *v, const char *verb, const struct report_word *said,
               uint32_t n, struct vm_report *out, struct err *e) MUSTCHECK;
void report_close(struct vm_report *r);

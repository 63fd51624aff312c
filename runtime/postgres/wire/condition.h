#pragma once
/* The names of SQLSTATEs: 40P01 is deadlock_detected. A few names belong to
 * more than one code. */
#include <stddef.h>

struct condition {
    const char *sqlstate;
    const char *name;
};

/* All of them, by SQLSTATE. Static. */
const struct condition *condition_list(size_t *n);
/* NULL: it has none. */
const char *condition_name(const char *sqlstate);

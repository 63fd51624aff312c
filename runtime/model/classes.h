#pragma once
/*
 * What each class of failures means to people: `tidemill explain` prints it.
 * One row a class; which class an error has is said by postgres/wire/sqlstate.c
 * and kafka/errors.c.
 */
#include "base/err.h"

struct class_text {
    const char *means;  /* what such a failure is */
    const char *does;   /* what Tidemill does about it */
    const char *person; /* what somebody should do */
};

/* Static; [class] must be one of enum err_class. */
const struct class_text *class_text(enum err_class class);
/* From "conflict", "data", ... to the class; false: there is none. */
bool class_find(const char *word, enum err_class *out) MUSTCHECK;

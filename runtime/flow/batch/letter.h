#pragma once
/*
 * What is known of an event that is not applied. A batch has an array of
 * them, by event, once something failed; before that there is none.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/failure.h"

/* Who refused the event: a projection (its index), or nobody of them. */
enum {
    LETTER_BEFORE = -1,
    LETTER_UNHELD = -2 /* the table's row could not be loaded, this time */
};

/* A longer reason is cut to so much. */
enum { LETTER_REASON_BYTES = 4096 };

struct letter {
    enum err_class class; /* ERR_NONE: it did not fail itself */
    char sqlstate[6];
    const char *reason; /* the batch's: said, or with LETTER_BEFORE arena */
    int32_t by;         /* projection, or LETTER_BEFORE: the record cannot be
                           read, has no key, or the database refused it; or
                           LETTER_UNHELD */
    enum failure_action action; /* DEAD_LETTER, HOLD or HALT */
    bool is_decided;            /* the failure rule was asked */
    int64_t behind;             /* held: offset of the first of its key */
};

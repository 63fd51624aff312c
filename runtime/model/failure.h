#pragma once
/*
 * A failure as a failure rule sees it, and what the rule may answer. The rule
 * is asked when the outcome is known: a lost lane (TM001) and an unknown
 * COMMIT never come here, so no answer can lose or repeat a record.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum failure_action {
    ACTION_RETRY,       /* the same batch again, after delay_ms */
    ACTION_BISECT,      /* lane by lane, then halves of the lane */
    ACTION_DEAD_LETTER, /* set this record aside, go on behind it */
    ACTION_HOLD,        /* the same, and later records of its key too */
    ACTION_HALT         /* the lane waits */
};
enum { FAILURE_ACTIONS = ACTION_HALT + 1 };

struct failure {
    enum err_class class;
    const char *sqlstate; /* "" when the database had no part in it */
    const char *message;
    uint32_t attempts;  /* failures of the same work before this one */
    uint32_t n_records; /* 1: a single record is to blame */
    bool has_others;    /* others were committed since this work first failed:
                           the database as a whole is well */
    const char *topic;  /* of the record, or of the first one; NULL: several
                           lanes */
    int32_t partition;
    int64_t offset;
};

struct decision {
    enum failure_action action;
    int64_t delay_ms; /* ACTION_RETRY; -1: the usual back-off */
};

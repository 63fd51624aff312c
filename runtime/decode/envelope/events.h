#pragma once
/* The arrays behind tm_batch that the decoder fills; owned by the batch. */
#include "base/arena.h"
#include "model/api.h"
#include "model/record.h"

struct events {
    struct tm_batch *view;
    const struct record *records; /* [n] */
    uint32_t n;
    uint32_t cap; /* allocated entries of each array */
    uint8_t *states;
    uint16_t *types;
    struct tm_cell *others; /* names of types by event, where types[] says
                               TYPES_OTHER; NULL: of none */
    uint8_t *ops;
    int64_t *times_ms; /* event.time */
    uint8_t *flags;    /* EVENT_HAS_SCHEMA */
    uint16_t *topics;  /* index in plan_source.settings */
    const char **reasons;
    struct tm_cell **columns; /* [node], NULL when not decoded */
    uint32_t cap_nodes;
    struct arena *arena;
};
enum {
    EVENT_HAS_SCHEMA = 1,
    EVENT_WANTED = 2, /* some projection takes it; set above the decoder */
    EVENT_MISFIT = 4, /* it cannot be read since the pipeline does not fit its
                         source: nothing is wrong with the record */
    EVENT_NO_OP = 8,  /* a flattened row without __op: its type is not known */
    EVENT_TOMBSTONE = 16, /* of a json topic: for mirrors alone an event */
    EVENT_FLAT = 32, /* the value is the row itself: no envelope is around it */
    EVENT_OF_MYSQL = 64 /* of its connector, or one that is like it */
};

#pragma once
/*
 * Which Debezium connectors a pipeline needs, read from its topics: one for
 * each outbox (topics with the same words in front of the last dot) and one
 * for each prefix of table topics. What a person still has to do or know is
 * said in notes.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/plan.h"

enum need_kind {
    NEED_OUTBOX, /* EventRouter */
    NEED_RAW,    /* rows of an outbox table as they are */
    NEED_ROWS    /* changes of tables */
};

struct need {
    enum need_kind kind;
    struct plan_topic form; /* of its first topic; the others have the same */
    const char *name;       /* arena, as all texts here: of the connector */
    const char *slot;       /* and of the publication */
    const char *prefix;     /* topic.prefix; outbox: what stands in front of the
                               routed value, with its dot, or "" */
    const char **tables;    /* schema.table; outbox: none */
    uint32_t n_tables;
    bool has_schemas; /* what columns mean must come with the records */
};

struct needs {
    struct need *list;
    uint32_t n;
    struct buf notes; /* owned: lines for people, each with its newline */
};

/* Texts live as long as the plan and the arena. */
void needs_of(const struct plan *p, struct arena *a, struct needs *out);
void needs_close(struct needs *n);

#pragma once
/*
 * What the source has to tell the layer above, until it asks. Errors repeat at
 * librdkafka's pace, several a second; the same text is told at most every
 * ten seconds. When nobody asks, the oldest errors are kept.
 */
#include "base/err.h"
#include "base/loop.h"

enum source_news {
    NEWS_NONE,
    NEWS_ASSIGNED, /* partitions are offered: claim, then source_read() */
    NEWS_REVOKED,  /* they were taken away: is_assigned is false */
    NEWS_FENCED,   /* another process uses this instance id: fatal */
    NEWS_ERROR     /* something to tell people; e says what */
};

enum { NEWS_ERRORS = 8, NEWS_TEXTS = 16 };

struct news_text {
    uint64_t hash;
    usec said;
};

struct news {
    bool is_revoked;
    bool is_offered;
    bool is_fenced;
    struct err fence;
    struct err errors[NEWS_ERRORS];
    uint32_t n_errors;
    struct news_text texts[NEWS_TEXTS];
};

/* False: it was told a moment ago, or too much is waiting. */
bool news_add(struct news *n, const struct err *e, usec now);
enum source_news news_take(struct news *n, struct err *e) MUSTCHECK;

#pragma once
/* TOPIC, TOPIC/PARTITION or TOPIC/PARTITION/OFFSET, as logs and lists print
 * it. Topics hold no slash. Pure. */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct place {
    char topic[256];           /* Kafka allows 249 */
    int64_t partition, offset; /* -1: not said */
};

/* False: it is none of these. */
bool place_parse(const char *text, struct place *out) MUSTCHECK;

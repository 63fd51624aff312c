#pragma once
/* A connector as the JSON that Kafka Connect's REST API takes. */
#include <stdint.h>

#include "cli/connector/connector_need.h"

/* What a pipeline cannot know of its source; NULL: not said. */
struct connector_source {
    const char *host;
    const char *port;
    const char *user;
    const char *password; /* as given: a reference, if people are careful */
    const char *dbname;
    const char *outbox_table; /* schema.table of an outbox */
    uint32_t n_partitions; /* of topics that Connect makes; 0: the broker's */
};

/* {"name": ..., "config": {...}}, indented by [indent] blanks, without a
 * newline at its end. */
void connector_text(const struct need *n, enum plan_start start,
                    const struct connector_source *s, int indent,
                    struct buf *out);

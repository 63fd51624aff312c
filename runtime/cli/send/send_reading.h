#pragma once
/* A record that a person wants to send, read as a run would read it. */
#include "base/buf.h"
#include "base/err.h"
#include "cli/options.h"
#include "model/plan.h"
#include "model/record.h"

struct send_record {
    const struct plan *plan;
    const char *topic;
    const struct plan_topic *settings;                  /* of the topic */
    const char *key;                                    /* NULL: none */
    struct buf value;                                   /* owned */
    bool is_tombstone;                                  /* there is no value */
    struct record_header headers[OPTION_LIST_MOST + 2]; /* borrowed texts */
    uint32_t n_headers;
};

/* False: a run would set it aside; why is on stderr, with the line and column
 * where a value is no JSON. What a run would pass by is noted there too. */
bool send_is_readable(const struct send_record *r) MUSTCHECK;

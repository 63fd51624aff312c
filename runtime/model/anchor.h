#pragma once
/*
 * Identifies a record: its timestamp and a hash of its bytes. A position keeps
 * the anchor of the last record below it. It shows when a topic was created
 * again, or rewritten, since it was read.
 * The hash is stored in the database: changing it would make every lane halt.
 */
#include "model/record.h"

struct anchor {
    int64_t ms;   /* the record's timestamp; -1: it has none */
    int64_t hash; /* of key and value; NULL and empty differ */
};

struct anchor anchor_of(const struct record *r);

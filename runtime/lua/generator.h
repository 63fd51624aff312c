#pragma once
/*
 * A bundle's load.lua: which topics there are, and the nth event. It runs in
 * a plain Lua state of its own, without Tidemill's sandbox: it is a tool for
 * development, and never part of a pipeline. Its random numbers are
 * seeded alike each time, so two runs send the same events.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/record.h"

struct generator;

struct generator_record {
    const char *topic; /* all borrowed until the next call */
    const char *key;   /* NULL: none */
    const char *value; /* NULL: a tombstone */
    size_t key_len, value_len;
    struct record_header headers[16];
    uint32_t n_headers;
};

/* NULL with e: the file is not there or not what is wanted. */
struct generator *generator_open(const char *file, struct err *e) MUSTCHECK;
void generator_close(struct generator *s);
/* Partitions of a topic: 0 when the script does not name it. */
uint32_t generator_partitions(struct generator *s, const char *topic);
/* Events a second; 0: as fast as possible. */
double generator_rate(const struct generator *s);
/* The nth event, n from 1. False without e->class: there are no more. */
bool generator_next(struct generator *s, uint64_t n,
                    struct generator_record *out, struct err *e) MUSTCHECK;

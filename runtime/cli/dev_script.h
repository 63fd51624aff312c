#pragma once
/*
 * A bundle's load.lua: which topics there are, and the nth event. It runs in
 * a plain Lua state of its own, without Tidemill's sandbox, because it is a
 * tool for development and never part of a pipeline. Its random numbers are
 * seeded alike each time, so two runs send the same events.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/record.h"

struct dev_script;

struct dev_record {
    const char *topic; /* all borrowed until the next call */
    const char *key;   /* NULL: none */
    const char *value; /* NULL: a tombstone */
    size_t key_len, value_len;
    struct record_header headers[16];
    uint32_t n_headers;
};

/* NULL with e: the file is not there or not what is wanted. */
struct dev_script *dev_script_open(const char *file, struct err *e);
void dev_script_close(struct dev_script *s);
/* Partitions of a topic: 0 when the script does not name it. */
uint32_t dev_script_partitions(struct dev_script *s, const char *topic);
/* Events a second; 0: as fast as possible. */
double dev_script_rate(const struct dev_script *s);
/* The nth event, n from 1. False without e->class: there are no more. */
bool dev_script_next(struct dev_script *s, uint64_t n, struct dev_record *out,
                     struct err *e);

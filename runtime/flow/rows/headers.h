#pragma once
/*
 * Headers of records in tidemill.dead_letter: [{"name": n, "value": text or
 * null}, ...], and {"name": n, "base64": b} where the value is no text that
 * jsonb can hold. Order and repeated names are kept.
 */
#include "base/arena.h"
#include "decode/envelope/decoder.h"
#include "model/record.h"

/* The JSON of all headers, in the arena; NULL: there are none. */
const char *headers_print(void *message, record_header_at_fn at,
                          struct arena *a);

struct headers {
    struct record_header *list; /* arena */
    uint32_t n;
};

/* From that JSON; what record.message of such a record points at. Never NULL;
 * what is no such JSON has no headers. */
struct headers *headers_parse(const char *json, size_t len, struct decoder *d,
                              struct arena *a);
/* A record_header_fn over them. */
bool headers_find(void *headers, const char *name, struct record_header *out);
/* A record_header_at_fn over them. */
bool headers_at(void *headers, uint32_t at, struct record_header *out);

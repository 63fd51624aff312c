#pragma once
/*
 * Headers of records in tidemill.dead_letter: [{"name": n, "value": text or
 * null}, ...], and {"name": n, "base64": b} where the value is no text that
 * jsonb can hold. Order and repeated names are kept.
 */
#include "base/arena.h"
#include "decode/envelope/decoder.h"
#include "model/record.h"

/* The header number [at] of a record; 0: there are no more. */
typedef int (*headers_at_fn)(void *message, uint32_t at,
                             struct record_header *out);

/* The JSON of all headers, in the arena; NULL: there are none. */
const char *headers_print(void *message, headers_at_fn at, struct arena *a);

struct headers;

/* From that JSON; what record.message of such a record points at. Never NULL;
 * what is no such JSON has no headers. */
struct headers *headers_parse(const char *json, size_t len, struct decoder *d,
                              struct arena *a);
/* A record_header_fn over them. */
int headers_find(void *headers, const char *name, struct record_header *out);
/* A headers_at_fn over them. */
int headers_at(void *headers, uint32_t at, struct record_header *out);

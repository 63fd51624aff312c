#pragma once
/*
 * The structural index of a JSON document, by simdjson's first stage: the
 * position of every brace, bracket, colon and comma outside texts, of every
 * opening quote and of the first byte of every other scalar. This header is
 * all that the rest of the program sees of simdjson.
 *
 * Invariant: a document that was indexed is valid UTF-8, its texts are closed
 * and hold no raw control bytes. Nothing is promised about its grammar: that
 * is checked by walk.c. No byte beyond [len] is
 * touched, so no padding is needed. Not for threads.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_index;

enum json_fault {
    JSON_FINE,
    JSON_EMPTY,    /* nothing but blanks */
    JSON_UTF8,     /* not UTF-8 */
    JSON_CONTROL,  /* a control byte inside a text */
    JSON_UNCLOSED, /* a text does not end */
    JSON_TOO_LONG  /* 4 GB or more */
};

struct json_index *json_index_new(void);
void json_index_free(struct json_index *x);
/*
 * Indexes [p, p + len): at[0..n) ascending, and at[n] == len. The array
 * belongs to the index and lasts until the next run.
 */
enum json_fault json_index_run(struct json_index *x, const char *p, size_t len,
                               const uint32_t **at, uint32_t *n);

#ifdef __cplusplus
}
#endif

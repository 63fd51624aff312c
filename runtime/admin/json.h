#pragma once
/*
 * Writes JSON into a buffer. Commas come by themselves: a value that does not
 * follow an opening bracket or a colon gets one in front. Bytes that are not
 * UTF-8 become U+FFFD, so the output is always valid.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* [bracket]: one of { [ } ] */
void json_open(struct buf *out, char bracket);
void json_close(struct buf *out, char bracket);
void json_key(struct buf *out, const char *key);
void json_text(struct buf *out, const char *text);
void json_int(struct buf *out, int64_t n);
/* A member of the object that is open; [text] NULL: null. */
void json_key_text(struct buf *out, const char *key, const char *text);
void json_key_int(struct buf *out, const char *key, int64_t n);
void json_double(struct buf *out, double d);
void json_bool(struct buf *out, bool is_true);

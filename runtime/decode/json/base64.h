#pragma once
/* Base64 as JSON converters write bytes: padded. Both alphabets are read,
 * since no character means two things; the standard one is written. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Decodes into [out], which has room for len / 4 * 3 bytes. How many bytes
 * came out, or -1: not base64. */
int64_t base64_decode(const char *p, size_t len, char *out) MUSTCHECK;
/* Appends the text of [len] bytes. */
void base64_encode(const char *p, size_t len, struct buf *out);

#pragma once
/* Dead letters as text: JSON for scripts, and for people. Pure. */
#include "base/buf.h"
#include "postgres/operator/letters.h"

/*
 * One object. Nothing is lost: bytes that are not UTF-8, or hold a NUL, are
 * base64 under another name: "key" and "value", else "key_base64" and
 * "value_base64". [values]: with value and headers.
 */
void letter_json(struct buf *out, const struct letter_row *l, bool values);
/* All of one letter, in lines. */
void letter_text(struct buf *out, const struct letter_row *l);
/* A key in one line of at most [most] bytes; "-" for none. */
void letter_key(struct buf *out, struct letter_bytes key, size_t most);

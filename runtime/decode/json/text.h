#pragma once
/* Texts of JSON and their escapes. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "model/api.h"

/*
 * Undoes the escapes of a JSON text (without its quotes) into [out], which
 * has room for [len] bytes: a text never grows. Its length, or -1: an unknown
 * escape, or half a surrogate pair.
 */
int64_t text_unescape(const char *p, size_t len, char *out) MUSTCHECK;
/* Are all of its escapes of JSON's grammar? Halves of surrogate pairs are. */
bool text_escapes_are_right(const char *p, size_t len);
/* Bytes of the escape at [p], or of the beginning of one that is wrong; 0: it is
 * \u0000 or half a surrogate pair. */
size_t text_escape(const char *p, const char *end);
/* The first control byte inside a JSON text of this document, or [len]. */
size_t text_control(const char *p, size_t len);

/* Is the cell this text? NULL is none. */
static inline bool text_is(const struct tm_cell *c, const char *text)
{
    return c && c->tag == TM_TEXT && c->len == strlen(text) &&
           memcmp(c->p, text, c->len) == 0;
}

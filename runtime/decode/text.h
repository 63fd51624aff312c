#pragma once
/* Texts of JSON: escapes and UTF-8. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Undoes the escapes of a JSON text (without its quotes) into [out], which
 * has room for [len] bytes: a text never grows. Its length, or -1: an unknown
 * escape, or half a surrogate pair.
 */
int64_t text_unescape(const char *p, size_t len, char *out);
/* The first byte that is not part of valid UTF-8; [len] when all are. */
size_t text_utf8(const char *p, size_t len);
/* Can PostgreSQL hold it as text? Valid UTF-8 without NUL. */
bool text_is_storable(const char *p, size_t len);
/* Makes it so: other bytes become question marks. */
void text_make_storable(char *p, size_t len);
/* The first control byte inside a JSON text of this document, or [len]. */
size_t text_control(const char *p, size_t len);

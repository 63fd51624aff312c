#pragma once
/* Texts of JSON and their escapes. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Undoes the escapes of a JSON text (without its quotes) into [out], which
 * has room for [len] bytes: a text never grows. Its length, or -1: an unknown
 * escape, or half a surrogate pair.
 */
int64_t text_unescape(const char *p, size_t len, char *out);
/* The first control byte inside a JSON text of this document, or [len]. */
size_t text_control(const char *p, size_t len);

#pragma once
/* UTF-8, as JSON and PostgreSQL want it: no overlong forms, no surrogates,
 * nothing beyond U+10FFFF. Pure. */
#include <stddef.h>

/* Bytes of the character at [text], of which [left] > 0 are there; 0: there is
 * none. */
size_t utf8_length(const char *text, size_t left);
/* The first byte that is not part of valid UTF-8; [len] when all are. */
size_t utf8_valid(const char *p, size_t len);
/* A message that people see: bytes that are not UTF-8 become '?' (what a script
 * made of them, or a character that was cut where a buffer ends), and so do
 * control characters but line ends and tabs, since keys of records are quoted
 * in messages and must not move a terminal's cursor. */
void utf8_clean(char *text);

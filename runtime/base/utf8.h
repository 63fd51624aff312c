#pragma once
/* UTF-8, as JSON and PostgreSQL want it: no overlong forms, no surrogates,
 * nothing beyond U+10FFFF. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at [text], of which [left] > 0 are there; 0: there is
 * none. */
size_t utf8_length(const char *text, size_t left);
/* The first byte that is not part of valid UTF-8; [len] when all are. */
size_t utf8_valid(const char *p, size_t len);
/* The number of the character at [text], of [n] bytes. */
uint32_t utf8_code(const char *text, size_t n);
/* Bytes of what stands at [text], 1 for a byte that is no UTF-8; [is_seen]: it
 * is a character that a terminal shows and does not obey: no control character,
 * nothing that turns a line around. */
size_t utf8_sight(const char *text, size_t left, bool *is_seen);
/* A message that people see: what is not seen (see above) becomes '?', but for
 * line ends and tabs. Keys of records are quoted in messages, and a character may
 * be cut where a buffer ends. */
void utf8_clean(char *text);
/* The same of one line: its line ends and tabs become blanks, so that no name
 * makes a second line. */
void utf8_clean_line(char *text);

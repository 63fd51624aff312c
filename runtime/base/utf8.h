#pragma once
/* UTF-8, as JSON and PostgreSQL want it: no overlong forms, no surrogates,
 * nothing beyond U+10FFFF. Pure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at [text], which has [left] > 0 bytes; 0: no valid
 * character begins there. */
size_t utf8_length(const char *text, size_t left);
/* The first byte that is not part of valid UTF-8; [len] when all are. */
size_t utf8_valid(const char *p, size_t len);
/* The number of the character at [text], of [n] bytes. */
uint32_t utf8_code(const char *text, size_t n);
/* Columns that a terminal gives the character: 2 to those of East Asia and to
 * pictures, none to those that stand on the one before. */
uint32_t utf8_columns(uint32_t code);
/* Bytes of the character at [text], 1 for a byte that is no UTF-8. [is_seen]: a
 * terminal shows it, and does nothing else: it is no control character, and
 * does not reverse a line. */
size_t utf8_next(const char *text, size_t left, bool *is_seen);
/* The character at [text] as it stands in a string of JSON, and what is no UTF-8
 * as U+FFFD: its bytes in [out]; *taken: those of [text]. What is not seen is
 * escaped too. */
enum { UTF8_JSON_BYTES = 13 };
size_t utf8_json(const char *text, size_t left, char out[UTF8_JSON_BYTES],
                 size_t *taken);
/* For a message to people: whatever a terminal does not just show becomes '?',
 * except line ends and tabs. Messages quote keys of records, and a character may
 * be cut where a buffer ends. */
void utf8_clean(char *text);
/* The same for one line: its line ends and tabs become blanks, so that no name
 * makes a second line. */
void utf8_clean_line(char *text);

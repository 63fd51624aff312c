#pragma once
/* Whether bytes are JSON by the grammar of RFC 8259, told without any of the
 * code that is tested. */
#include <stddef.h>

enum grammar {
    GRAMMAR_NOT,
    GRAMMAR_JSON,
    GRAMMAR_ODD /* JSON, but nested very deeply, or with half a surrogate pair,
                   which cannot be read as a text */
};

enum grammar grammar_of(const char *p, size_t len);

/* See utf8.h. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_length(const char *text, size_t left)
{
    static const unsigned char least[5] = {0, 0, 0x80, 0xA0, 0x90};
    const unsigned char *p = (const unsigned char *)text;
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
               : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
               : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                             : 0;

    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    /* Overlong forms, surrogates, and beyond U+10FFFF. */
    if ((p[0] == 0xE0 || p[0] == 0xF0) && p[1] < least[n]) {
        return 0;
    }
    if ((p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F)) {
        return 0;
    }
    return n;
}

size_t utf8_valid(const char *p, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint64_t word;
        if (len - at >= 8 &&
            (memcpy(&word, p + at, 8), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t n = utf8_length(p + at, len - at);
        if (n == 0) {
            return at;
        }
        at += n;
    }
    return len;
}

/* C0, DEL and, in two bytes, C1. */
static void replace_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if ((*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f) {
            *p = '?';
        } else if (p[0] == 0xc2 && p[1] < 0xa0) {
            p[0] = p[1] = '?';
        }
    }
}

void utf8_clean(char *text)
{
    size_t len = strlen(text), at = utf8_valid(text, len);

    while (at < len) {
        text[at++] = '?';
        at += utf8_valid(text + at, len - at);
    }
    replace_controls(text);
}

/* See utf8.h. */
#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
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

/* Characters that are no sign on a screen but an order to it: what turns the
 * direction of a line (the words behind it would be read backwards), ends it, or
 * cannot be seen. The joiners U+200C and U+200D are letters' own. */
static const struct {
    uint32_t from, to;
} orders[] = {
    {0x00, 0x1f},     {0x7f, 0x9f},       {0x61c, 0x61c},   {0x200b, 0x200b},
    {0x200e, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f}, {0xfeff, 0xfeff},
    {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
};

uint32_t utf8_code(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++) {
        code = code << 6 | (p[i] & 0x3f);
    }
    return code;
}

size_t utf8_next(const char *text, size_t left, bool *is_seen)
{
    bool is_ascii = *text >= ' ' && *text <= '~';
    size_t n = is_ascii ? 1 : utf8_length(text, left);

    *is_seen = n > 0;
    if (is_ascii || n == 0) {
        return 1;
    }
    uint32_t code = utf8_code(text, n);
    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
        *is_seen = *is_seen && (code < orders[i].from || code > orders[i].to);
    }
    return n;
}

uint32_t utf8_columns(uint32_t code)
{
    static const struct {
        uint32_t first, last, columns;
    } ranges[] = {
        {0x300, 0x36f, 0},     {0x1100, 0x115f, 2},   {0x1ab0, 0x1aff, 0},
        {0x1dc0, 0x1dff, 0},   {0x200b, 0x200f, 0},   {0x20d0, 0x20ff, 0},
        {0x2e80, 0x303e, 2},   {0x3041, 0x4dbf, 2},   {0x4e00, 0xa4cf, 2},
        {0xa960, 0xa97f, 2},   {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},
        {0xfe00, 0xfe0f, 0},   {0xfe20, 0xfe2f, 0},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2},
        {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x1fa70, 0x1faff, 2},
        {0x20000, 0x3fffd, 2},
    };

    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        if (code <= ranges[i].last) {
            return code >= ranges[i].first ? ranges[i].columns : 1;
        }
    }
    return 1;
}

size_t utf8_json(const char *text, size_t left, char out[UTF8_JSON_BYTES],
                 size_t *taken)
{
    bool is_seen;
    size_t n = utf8_next(text, left, &is_seen), len = 0;
    uint32_t code = utf8_length(text, left) ? utf8_code(text, n) : 0xfffd;

    *taken = n;
    if (is_seen) {
        out[0] = '\\';
        len = *text == '"' || *text == '\\';
        memcpy(out + len, text, n);
        return len + n;
    }
    if (code > 0xffff) { /* the halves of UTF-16 */
        len = (size_t)snprintf(out, UTF8_JSON_BYTES, "\\u%04x",
                               0xd7c0 + (code >> 10));
        code = 0xdc00 | (code & 0x3ff);
    }
    return len +
           (size_t)snprintf(out + len, UTF8_JSON_BYTES - len, "\\u%04x", code);
}

void utf8_clean(char *text)
{
    size_t left = strlen(text), n;
    bool is_seen;

    for (; left > 0; text += n, left -= n) {
        n = utf8_next(text, left, &is_seen);
        if (!is_seen && *text != '\n' && *text != '\t') {
            memset(text, '?', n);
        }
    }
}

void utf8_clean_line(char *text)
{
    for (char *p = text; *p; p++) {
        *p = *p == '\n' || *p == '\r' || *p == '\t' ? ' ' : *p;
    }
    utf8_clean(text);
}

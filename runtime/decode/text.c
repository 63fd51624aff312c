/* See text.h. */
#include "decode/text.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits at [p]; negative: there are none. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;

    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(p[i]);

        if (digit < 0) {
            return -1;
        }
        v = v << 4 | digit;
    }
    return v;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xE0 | c >> 12);
        } else {
            *out++ = (char)(0xF0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
    }
    *out++ = (char)(0x80 | (c & 0x3F));
    return out;
}

/* [*p] is behind "\u"; moves it behind the digits. -1: not a character. */
static int32_t code_point(const char **p, const char *end)
{
    int32_t high = hex4(*p, end);

    if (high < 0 || (high >= 0xDC00 && high < 0xE000)) {
        return -1;
    }
    *p += 4;
    if (high < 0xD800 || high >= 0xE000) {
        return high;
    }
    if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u') {
        return -1;
    }
    int32_t low = hex4(*p + 2, end);
    if (low < 0xDC00 || low >= 0xE000) {
        return -1;
    }
    *p += 6;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

int64_t text_unescape(const char *p, size_t len, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *end = p + len;
    char *start = out;

    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (++p == end) {
            return -1;
        }
        if (*p == 'u') {
            p++;
            int32_t c = code_point(&p, end);
            if (c < 0) {
                return -1;
            }
            out = put_utf8(out, (uint32_t)c);
            continue;
        }
        const char *escape = *p ? strchr(from, *p) : NULL;
        if (!escape) {
            return -1;
        }
        *out++ = to[escape - from];
        p++;
    }
    return out - start;
}

/* Bytes of the character at [p], or 0: it is not valid UTF-8. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const unsigned char least[5] = {0, 0, 0x80, 0xA0, 0x90};
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

size_t text_utf8(const char *p, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint64_t word;
        if (len - at >= 8 &&
            (memcpy(&word, p + at, 8), (word & 0x8080808080808080u) == 0)) {
            at += 8;
            continue;
        }
        size_t n = utf8_length((const unsigned char *)p + at, len - at);
        if (n == 0) {
            return at;
        }
        at += n;
    }
    return len;
}

size_t text_control(const char *p, size_t len)
{
    bool inside = false;

    for (size_t at = 0; at < len; at++) {
        if (p[at] == '"') {
            inside = !inside;
        } else if (inside && p[at] == '\\') {
            at++;
        } else if (inside && (unsigned char)p[at] < 0x20) {
            return at;
        }
    }
    return len;
}

bool text_is_storable(const char *p, size_t len)
{
    return text_utf8(p, len) == len && !memchr(p, '\0', len);
}

void text_make_storable(char *p, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        at += text_utf8(p + at, len - at);
        if (at < len) {
            p[at] = '?';
        }
    }
    for (size_t at = 0; at < len; at++) {
        p[at] = p[at] ? p[at] : '?';
    }
}

/* See text.h. */
#include "decode/json/text.h"

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

static inline bool is_letter(char c)
{
    return c && strchr("/bfnrt", c);
}

bool text_escapes_are_right(const char *p, size_t len)
{
    const char *end = p + len;

    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        if (++p == end) {
            return false;
        }
        if (*p == 'u' && hex4(p + 1, end) >= 0) {
            p += 5;
        } else if (*p == '"' || *p == '\\' || is_letter(*p)) {
            p++;
        } else {
            return false;
        }
    }
    return true;
}

size_t text_escape(const char *p, const char *end)
{
    const char *at = p + 2;

    if (end - p < 2 || p[1] != 'u' || hex4(at, end) < 0) {
        return end - p < 2 ? 1 : 2;
    }
    return code_point(&at, end) > 0 ? (size_t)(at - p) : 0;
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

/* See base64.h. */
#include "decode/json/base64.h"

/* The six bits of a character, or -1. */
static inline int32_t sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' || c == '-' ? 62 : c == '/' || c == '_' ? 63 : -1;
}

/* Characters [p, p + n), n of 2 to 4, into n - 1 bytes. */
static char *put_group(const char *p, int n, char *out)
{
    int32_t bits = 0;

    for (int i = 0; i < 4; i++) {
        int32_t six = i < n ? sextet(p[i]) : 0;

        if (six < 0) {
            return NULL;
        }
        bits = bits << 6 | six;
    }
    for (int i = 0; i < n - 1; i++) {
        *out++ = (char)(bits >> (16 - 8 * i));
    }
    return out;
}

int64_t base64_decode(const char *p, size_t len, char *out)
{
    char *start = out;

    if (len % 4 != 0) {
        return -1;
    }
    for (size_t at = 0; at < len && out; at += 4) {
        int n = 4;

        if (at + 4 == len) { /* padding stands only at the very end */
            n -= p[at + 3] == '=';
            n -= n == 3 && p[at + 2] == '=';
        }
        out = put_group(p + at, n, out);
    }
    return out ? out - start : -1;
}

void base64_encode(const char *p, size_t len, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < len; at += 3) {
        size_t n = len - at < 3 ? len - at : 3;
        uint32_t bits = 0;
        char group[4];

        for (size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (i < n ? (uint8_t)p[at + i] : 0);
        }
        for (size_t i = 0; i < 4; i++) {
            group[i] = i <= n ? digits[bits >> (18 - 6 * i) & 63] : '=';
        }
        buf_put(out, group, sizeof(group));
    }
}

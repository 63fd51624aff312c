/* A JSON writer of a page: see json.h. */
#include "admin/json.h"

static void comma(struct buf *out)
{
    if (out->len > 0 && strchr("{[:", out->data[out->len - 1]) == NULL) {
        buf_put(out, ",", 1);
    }
}

/* Bytes of the UTF-8 character at [s], or 0 when there is none. */
static int utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high; /* of the first two bytes */
        int length;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3},
        {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (s[0] < forms[i].first || s[0] > forms[i].last) {
            continue;
        }
        if (s[1] < forms[i].low || s[1] > forms[i].high) {
            return 0;
        }
        for (int at = 2; at < forms[i].length; at++) {
            if ((s[at] & 0xC0) != 0x80) {
                return 0;
            }
        }
        return forms[i].length;
    }
    return 0;
}

/* Writes one character; returns how many bytes of [s] it took. */
static int put_character(struct buf *out, const unsigned char *s)
{
    if (*s == '"' || *s == '\\') {
        buf_printf(out, "\\%c", *s);
        return 1;
    }
    if (*s < 0x20) {
        buf_printf(out, "\\u%04x", *s);
        return 1;
    }
    if (*s < 0x80) {
        buf_put(out, s, 1);
        return 1;
    }
    int length = utf8_length(s);
    if (length == 0) {
        buf_puts(out, "\\ufffd");
        return 1;
    }
    buf_put(out, s, (size_t)length);
    return length;
}

static void put_string(struct buf *out, const char *text)
{
    buf_put(out, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s != '\0';) {
        s += put_character(out, s);
    }
    buf_put(out, "\"", 1);
}

void json_open(struct buf *out, char bracket)
{
    comma(out);
    buf_put(out, &bracket, 1);
}

void json_close(struct buf *out, char bracket)
{
    buf_put(out, &bracket, 1);
}

void json_key(struct buf *out, const char *key)
{
    comma(out);
    put_string(out, key);
    buf_put(out, ":", 1);
}

void json_text(struct buf *out, const char *text)
{
    comma(out);
    put_string(out, text);
}

void json_int(struct buf *out, int64_t n)
{
    comma(out);
    buf_printf(out, "%lld", (long long)n);
}

void json_double(struct buf *out, double d)
{
    comma(out);
    buf_printf(out, "%.3f", d);
}

void json_bool(struct buf *out, bool is_true)
{
    comma(out);
    buf_puts(out, is_true ? "true" : "false");
}

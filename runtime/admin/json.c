/* A JSON writer of a page: see json.h. */
#include "admin/json.h"

#include "base/utf8.h"

static void comma(struct buf *out)
{
    if (out->len > 0 && !strchr("{[:", out->data[out->len - 1])) {
        buf_put(out, ",", 1);
    }
}

/* What no person shall get raw, in the halves of UTF-16 where it needs two. */
static void put_escaped(struct buf *out, uint32_t code)
{
    if (code > 0xffff) {
        buf_printf(out, "\\u%04x", 0xd7c0 + (code >> 10));
        code = 0xdc00 | (code & 0x3ff);
    }
    buf_printf(out, "\\u%04x", code);
}

/* Writes one character; returns how many bytes of [s] it took. */
static size_t put_character(struct buf *out, const char *s, size_t left)
{
    bool is_seen;
    size_t n = utf8_next(s, left, &is_seen);

    if (is_seen) {
        buf_put(out, "\\", *s == '"' || *s == '\\');
        buf_put(out, s, n);
    } else {
        put_escaped(out, utf8_length(s, left) ? utf8_code(s, n) : 0xfffd);
    }
    return n;
}

static void put_string(struct buf *out, const char *text)
{
    buf_put(out, "\"", 1);
    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        n = put_character(out, text, left);
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

void json_key_text(struct buf *out, const char *key, const char *text)
{
    json_key(out, key);
    if (text) {
        json_text(out, text);
    } else {
        buf_puts(out, "null");
    }
}

void json_key_int(struct buf *out, const char *key, int64_t n)
{
    json_key(out, key);
    json_int(out, n);
}

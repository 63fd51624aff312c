/* A JSON writer of a page: see json.h. */
#include "admin/json.h"

#include "base/utf8.h"

static void comma(struct buf *out)
{
    if (out->len > 0 && strchr("{[:", out->data[out->len - 1]) == NULL) {
        buf_put(out, ",", 1);
    }
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
    /* The NUL behind the text ends a character that is cut. */
    size_t length = utf8_length((const char *)s, 4);
    if (length == 0) {
        buf_puts(out, "\\ufffd");
        return 1;
    }
    buf_put(out, s, length);
    return (int)length;
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

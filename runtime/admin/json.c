/* A JSON writer of a page: see json.h. */
#include "admin/json.h"

#include "base/utf8.h"

static void comma(struct buf *out)
{
    if (out->len > 0 && !strchr("{[:", out->data[out->len - 1])) {
        buf_put(out, ",", 1);
    }
}

static void put_string(struct buf *out, const char *text)
{
    char escaped[UTF8_JSON_BYTES];

    buf_put(out, "\"", 1);
    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        size_t n_escaped = utf8_json(text, left, escaped, &n);
        buf_put(out, escaped, n_escaped);
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

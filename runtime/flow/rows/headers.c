/* See headers.h. */
#include "flow/rows/headers.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "decode/json/base64.h"
#include "decode/json/text.h"

/* ---- printing ---- */

/* Can jsonb hold it as text? */
static bool is_text(const char *p, size_t len)
{
    return utf8_valid(p, len) == len && !memchr(p, '\0', len);
}

static void put_text(struct buf *out, const char *p, size_t len)
{
    buf_puts(out, "\"");
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];

        if (c == '"' || c == '\\') {
            buf_printf(out, "\\%c", c);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            buf_put(out, p + i, 1);
        }
    }
    buf_puts(out, "\"");
}

static void put_value(struct buf *out, const struct record_header *h)
{
    if (!h->value) {
        buf_puts(out, "\"value\":null}");
    } else if (is_text(h->value, h->len)) {
        buf_puts(out, "\"value\":");
        put_text(out, h->value, h->len);
        buf_puts(out, "}");
    } else {
        buf_puts(out, "\"base64\":\"");
        base64_encode(h->value, h->len, out);
        buf_puts(out, "\"}");
    }
}

const char *headers_print(void *message, record_header_at_fn at,
                          struct arena *a)
{
    struct record_header h;
    struct buf out = {0};
    const char *json = NULL;
    uint32_t i = 0;

    for (; at(message, i, &h); i++) {
        size_t len = strlen(h.name);

        buf_puts(&out, i ? ",{\"name\":" : "[{\"name\":");
        put_text(&out, h.name, is_text(h.name, len) ? len : 0);
        buf_puts(&out, ",");
        put_value(&out, &h);
    }
    if (i) {
        buf_puts(&out, "]");
        json = arena_dup(a, out.data, out.len);
    }
    buf_close(&out);
    return json;
}

/* ---- parsing ---- */

static void take_member(const struct tm_cell *name, const struct tm_cell *value,
                        struct record_header *out, struct arena *a)
{
    if (value->tag != TM_TEXT) {
        return;
    }
    if (text_is(name, "name")) {
        out->name = arena_dup(a, value->p, value->len);
    } else if (text_is(name, "value")) {
        out->value = value->p;
        out->len = value->len;
    } else if (text_is(name, "base64")) {
        char *bytes = arena_alloc(a, value->len + 1);
        int64_t n = base64_decode(value->p, value->len, bytes);

        out->value = n < 0 ? NULL : bytes;
        out->len = n < 0 ? 0 : (size_t)n;
    }
}

/* Tokens of [{...}, ...] with scalar members, see tm_json(). */
static void take_all(struct headers *h, const struct tm_cell *t, uint32_t n,
                     struct arena *a)
{
    uint32_t at = 1;

    for (uint32_t item = 0; item < t[0].len; item++) {
        uint32_t members = at < n && t[at].tag == TM_OBJECT ? t[at].len : 0;
        struct record_header header = {.name = ""};

        for (at++; members > 0 && at + 1 < n; members--, at += 2) {
            take_member(&t[at], &t[at + 1], &header, a);
        }
        h->list[h->n++] = header;
    }
}

struct headers *headers_parse(const char *json, size_t len, struct decoder *d,
                              struct arena *a)
{
    struct headers *h = arena_zero(a, sizeof(*h));
    const struct tm_cell *tokens = NULL;
    uint32_t n = 0;

    if (json &&
        decoder_tokens(d, a, arena_dup(a, json, len), len, &tokens, &n) == 0 &&
        n > 0 && tokens[0].tag == TM_ARRAY) {
        h->list = arena_zero(a, (tokens[0].len + 1) * sizeof(*h->list));
        take_all(h, tokens, n, a);
    }
    return h;
}

bool headers_find(void *headers, const char *name, struct record_header *out)
{
    const struct headers *h = headers;

    for (uint32_t i = h->n; i-- > 0;) {
        if (strcmp(h->list[i].name, name) == 0) {
            *out = h->list[i];
            return true;
        }
    }
    return false;
}

bool headers_at(void *headers, uint32_t at, struct record_header *out)
{
    const struct headers *h = headers;

    if (at >= h->n) {
        return false;
    }
    *out = h->list[at];
    return true;
}

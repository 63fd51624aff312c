/* See letter_text.h. */
#include "cli/operator/letter_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "admin/json.h"
#include "base/say.h"
#include "base/utf8.h"
#include "cli/table.h"
#include "decode/json/base64.h"
#include "decode/value/time.h"

enum { INDENT = 2, DEEPEST = 40, TEXT_COLUMN = 15 };

static bool is_text(struct letter_bytes b)
{
    size_t len = (size_t)b.len;
    return utf8_valid(b.p, len) == len && !memchr(b.p, '\0', len);
}

static void put_base64(struct buf *out, struct letter_bytes b)
{
    base64_encode(b.p, (size_t)b.len, out);
}

static void put_bytes(struct buf *out, const char *name, struct letter_bytes b)
{
    char other[32];
    if (!b.p || is_text(b)) {
        json_key_text(out, name, b.p); /* libpq ends it with a NUL */
        return;
    }
    snprintf(other, sizeof(other), "%s_base64", name);
    json_key(out, other);
    buf_puts(out, "\"");
    put_base64(out, b);
    buf_puts(out, "\"");
}

void letter_json(struct buf *out, const struct letter_row *l, bool values)
{
    json_open(out, '{');
    json_key_text(out, "topic", l->topic);
    json_key_int(out, "partition", l->partition);
    json_key_int(out, "offset", l->offset);
    json_key_text(out, "state", l->state);
    put_bytes(out, "key", l->key);
    if (values) {
        put_bytes(out, "value", l->value);
        json_key(out, "headers");
        buf_puts(out, l->headers != NULL ? l->headers : "null");
    }
    if (l->record_ms >= 0) {
        json_key_int(out, "record_ms", l->record_ms);
    } else {
        json_key_text(out, "record_ms", NULL);
    }
    json_key_text(out, "class", l->class);
    json_key_text(out, "sqlstate", l->sqlstate);
    json_key_text(out, "message", l->message);
    json_key_text(out, "cause", l->cause);
    json_key_text(out, "script", l->script);
    json_key_text(out, "generation", l->generation);
    json_key_int(out, "attempts", l->attempts);
    json_key_text(out, "first_seen", l->first_seen);
    json_key_text(out, "last_seen", l->last_seen);
    json_key_text(out, "retry_at", l->retry_at);
    json_close(out, '}');
}

void letter_key(struct buf *out, struct letter_bytes key, size_t most)
{
    if (!key.p) {
        buf_puts(out, "-");
        return;
    }
    struct buf whole = {0};
    if (is_text(key)) {
        printable(&whole, key.p, (size_t)key.len);
    } else {
        buf_puts(&whole, "base64:");
        put_base64(&whole, key);
    }
    if (whole.len > most) {
        size_t len = most - 3;
        while (len > 0 && ((unsigned char)whole.data[len] & 0xC0) == 0x80) {
            len--;
        }
        buf_put(out, whole.data, len);
        buf_puts(out, "...");
    } else {
        buf_put(out, whole.data, whole.len);
    }
    buf_close(&whole);
}

/* JSON with a line for each member down to [most] brackets deep. Only brackets
 * and texts are looked at, since what failed may well be broken JSON. */
struct pretty {
    struct buf *out;
    int depth, most;
    char last; /* first byte of the last token */
};

static void new_line(const struct pretty *s, int depth)
{
    buf_printf(s->out, "\n%*s", INDENT * (depth + 2), "");
}

static bool is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

/* What stands between the last token and one that begins with [c]. */
static void put_gap(const struct pretty *s, char c)
{
    bool is_closing = is_in(c, "}]"), is_opened = is_in(s->last, "{[");
    if (s->last == ':' || (s->last == ',' && s->depth > s->most)) {
        buf_puts(s->out, " ");
    } else if (s->depth > s->most || (is_closing && is_opened)) {
        return;
    } else if (is_closing && s->depth > 0) {
        new_line(s, s->depth - 1);
    } else if (is_opened || s->last == ',') {
        new_line(s, s->depth);
    }
}

static void put_token(struct pretty *s, const char *p, size_t len)
{
    put_gap(s, *p);
    printable(s->out, p, len);
    s->depth += is_in(*p, "{[");
    s->depth -= is_in(*p, "}]") && s->depth > 0;
    s->last = *p;
}

/* Of the token at [p]: a text with its quotes, a mark, or a plain word. */
static size_t token_length(const char *p, size_t len)
{
    static const char marks[] = "{}[],:\" \t\r\n";
    size_t n = 1;
    if (*p == '"') {
        while (n < len && p[n] != '"') {
            n += p[n] == '\\' && n + 1 < len ? 2 : 1;
        }
        return n < len ? n + 1 : n;
    }
    while (n < len && !is_in(*p, marks) && !is_in(p[n], marks)) {
        n++;
    }
    return n;
}

static void put_pretty(struct buf *out, const char *p, size_t len, int most)
{
    struct pretty s = {.out = out, .most = most};
    for (size_t n; len > 0; p += n, len -= n) {
        n = token_length(p, len);
        if (!is_in(*p, " \t\r\n")) {
            put_token(&s, p, n);
        }
    }
}

static void put_lines(struct buf *out, const char *p, size_t len)
{
    for (size_t n; len > 0; p += n, len -= n) {
        const char *end = memchr(p, '\n', len);
        n = end != NULL ? (size_t)(end - p) : len;
        printable(out, p, n);
        if (end) {
            buf_printf(out, "\n%*s", INDENT * 2, "");
            n++;
        }
    }
}

static void put_value(struct buf *out, struct letter_bytes value)
{
    size_t len = (size_t)value.len;
    if (!value.p) {
        buf_puts(out, "  value        - (a tombstone)\n");
        return;
    }
    buf_printf(out, "  value (%d byte%s)\n%*s", value.len, plural(value.len),
               INDENT * 2, "");
    if (!is_text(value)) {
        buf_puts(out, "base64:");
        put_base64(out, value);
    } else if (len > 0 && is_in(value.p[0], "{[")) {
        put_pretty(out, value.p, len, DEEPEST);
    } else {
        put_lines(out, value.p, len);
    }
    buf_puts(out, "\n");
}

static void put_line(struct buf *out, const char *name, const char *text)
{
    if (!text) {
        return;
    }
    struct buf clean = {0};
    printable(&clean, text, strlen(text));
    buf_printf(out, "  %-11s  ", name);
    put_folded(out, buf_text(&clean), TEXT_COLUMN);
    buf_puts(out, "\n");
    buf_close(&clean);
}

static void put_headers(struct buf *out, const char *headers)
{
    if (headers && strcmp(headers, "[]") != 0) {
        buf_puts(out, "  headers\n    ");
        put_pretty(out, headers, strlen(headers), 1);
        buf_puts(out, "\n");
    }
}

void letter_text(struct buf *out, const struct letter_row *l)
{
    struct buf key = {0};
    char record[48] = {0};
    if (l->record_ms >= 0) {
        record[time_put_stamp(l->record_ms * 1000, record)] = 'Z';
    }
    letter_key(&key, l->key, 4096);
    printable(out, l->topic, strlen(l->topic));
    buf_printf(out, "/%" PRId64 "/%" PRId64 "  %s, tried %" PRId64 " time%s\n",
               l->partition, l->offset, l->state, l->attempts,
               plural(l->attempts));
    put_line(out, "key", buf_text(&key));
    put_line(out, "class", l->class);
    put_line(out, "sqlstate", l->sqlstate);
    put_line(out, "message", l->message);
    put_line(out, "cause", l->cause);
    put_line(out, "script", l->script);
    put_line(out, "generation", l->generation);
    put_line(out, "record time", l->record_ms >= 0 ? record : NULL);
    put_line(out, "first seen", l->first_seen);
    put_line(out, "last seen", l->last_seen);
    put_line(out, "retry asked", l->retry_at);
    put_headers(out, l->headers);
    put_value(out, l->value);
    buf_close(&key);
}

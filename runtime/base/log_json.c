/* See log_json.h. */
#include "base/log_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* CLOSING: "...", a quote, a brace and a NUL always fit. */
enum { FIELDS_BYTES = 8192, CLOSING = 8, ESCAPED = 12 };

struct json_line {
    char *p;
    size_t len, most;
};

static void put(struct json_line *j, const char *text, size_t n)
{
    if (j->len + n <= j->most) {
        memcpy(j->p + j->len, text, n);
        j->len += n;
    }
}

static void put_string(struct json_line *j, const char *text, size_t left)
{
    char escaped[UTF8_JSON_BYTES];

    j->p[j->len++] = '"';
    for (size_t n; left > 0; text += n, left -= n) {
        size_t len = utf8_json(text, left, escaped, &n);

        if (j->len + len > j->most) {
            memcpy(j->p + j->len, "...", 3);
            j->len += 3;
            break;
        }
        put(j, escaped, len);
    }
    j->p[j->len++] = '"';
}

/* False: there is no room for it. */
static bool put_key(struct json_line *j, const char *key, size_t n)
{
    if (j->len + n + 2 * ESCAPED > j->most) {
        return false;
    }
    put(j, j->len == 1 ? "\"" : ",\"", j->len == 1 ? 1 : 2);
    put(j, key, n);
    put(j, "\":", 2);
    return true;
}

static void put_text(struct json_line *j, const char *key, const char *text)
{
    if (put_key(j, key, strlen(key))) {
        put_string(j, text, strlen(text));
    }
}

static void put_int(struct json_line *j, const char *key, int n)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%d", n);

    if (put_key(j, key, strlen(key))) {
        put(j, text, (size_t)len);
    }
}

static void put_head(struct json_line *j, const struct log_head *h)
{
    put_text(j, "time", h->time);
    put_text(j, "level", h->level);
    put_text(j, "process", h->process);
    if (h->worker >= 0) {
        put_int(j, "worker", h->worker);
    }
    put_int(j, "pid", h->pid);
    if (h->pipeline[0]) {
        put_text(j, "pipeline", h->pipeline);
    }
}

/* ---- fields ---- */

struct json_field {
    const char *key;
    size_t key_len;
    char *value; /* unescaped */
    size_t len;
};

static bool is_key(const struct json_field *f, const char *word)
{
    return strlen(word) == f->key_len && memcmp(f->key, word, f->key_len) == 0;
}

/* Where the format has a key of [n] bytes, behind its '='; NULL: it has none such. */
static const char *find_key(const char *format, const char *key, size_t n)
{
    for (const char *p = format; n > 0 && (p = strchr(p, '=')); p++) {
        const char *at = (size_t)(p - format) >= n ? p - n : NULL;

        if (at && (at == format || at[-1] == ' ') && memcmp(at, key, n) == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* Does the format have a number alone behind that key? */
static bool is_number(const char *format, const struct json_field *f)
{
    const char *p = find_key(format, f->key, f->key_len);

    if (!p || *p++ != '%') {
        return false;
    }
    p += strspn(p, "0123456789.hlzj");
    return *p && strchr("diuf", *p) && (p[1] == ' ' || p[1] == '\0') &&
           f->len == strspn(f->value, "-0123456789.");
}

/* lane=TOPIC/PARTITION */
static bool put_lane(struct json_line *j, const struct json_field *f)
{
    const char *slash = memrchr(f->value, '/', f->len);
    size_t digits = slash ? f->len - (size_t)(slash + 1 - f->value) : 0;

    if (!is_key(f, "lane") || digits == 0 ||
        strspn(slash + 1, "0123456789") < digits) {
        return false;
    }
    if (put_key(j, "topic", 5)) {
        put_string(j, f->value, (size_t)(slash - f->value));
    }
    if (put_key(j, "partition", 9)) {
        put(j, slash + 1, digits);
    }
    return true;
}

static void put_field(struct json_line *j, const struct log_head *h,
                      const char *format, const struct json_field *f)
{
    static const char *const others[][2] = {
        {"error", "reason"},    {"why", "reason"},   {"pid", "worker_pid"},
        {"time", "time_"},      {"level", "level_"}, {"process", "process_"},
        {"message", "message_"}};
    const char *key = f->key;
    size_t key_len = f->key_len;

    if ((is_key(f, "pipeline") && h->pipeline[0]) || put_lane(j, f)) {
        return;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (is_key(f, others[i][0])) {
            key = others[i][1];
            key_len = strlen(key);
        }
    }
    if (!put_key(j, key, key_len)) {
        return;
    }
    if (is_number(format, f)) {
        put(j, f->value, f->len);
    } else {
        put_string(j, f->value, f->len);
    }
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);

    return c && at ? (int)(at - digits) : 0;
}

/* What log_quote() wrote, in its place: [p] is behind the quote. The end. */
static char *unquote(char *p, size_t *len)
{
    static const char from[] = "ntr", to[] = "\n\t\r";
    char *out = p, *first = p;

    for (; *p && *p != '"'; p++) {
        const char *named = *p == '\\' && p[1] ? strchr(from, p[1]) : NULL;

        if (*p != '\\' || !p[1]) {
            *out++ = *p;
        } else if (named) {
            *out++ = to[named - from];
            p++;
        } else if (p[1] == 'x' && p[2] && p[3]) {
            *out++ = (char)(hex(p[2]) << 4 | hex(p[3]));
            p += 3;
        } else {
            *out++ = *++p;
        }
    }
    *len = (size_t)(out - first);
    return *p ? p + 1 : p;
}

/* Where a value without quotes ends: a blank in it is its own, if no key of the
 * format stands behind. */
static char *value_end(const char *format, char *p)
{
    while (*(p += strcspn(p, " "))) {
        const char *next = p + strspn(p, " ");
        size_t n = strcspn(next, "= ");

        if (next[n] == '=' && find_key(format, next, n)) {
            break;
        }
        p++;
    }
    return p;
}

/* The fields of a logfmt line, which are taken apart in their place. */
static void put_fields(struct json_line *j, const struct log_head *h,
                       const char *format, char *p)
{
    while (*(p += strspn(p, " "))) {
        struct json_field f = {.key = p, .key_len = strcspn(p, "= ")};

        if (p[f.key_len] != '=' || !find_key(format, f.key, f.key_len)) {
            f.key = "more"; /* behind a value in quotes that was cut */
            f.key_len = 4;
            f.value = p;
            p += f.len = strlen(p);
        } else if (p[f.key_len + 1] == '"') {
            f.value = p + f.key_len + 2;
            p = unquote(f.value, &f.len);
        } else {
            f.value = p + f.key_len + 1;
            p = value_end(format, f.value);
            f.len = (size_t)(p - f.value);
        }
        put_field(j, h, format, &f);
    }
}

size_t log_json(char *out, size_t cap, const struct log_head *h,
                const char *msg, const char *fields, va_list args)
{
    struct json_line j = {.p = out, .most = cap - CLOSING};
    char text[FIELDS_BYTES];

    put(&j, "{", 1);
    put_head(&j, h);
    put_text(&j, "message", msg);
    if (fields && vsnprintf(text, sizeof(text), fields, args) > 0) {
        put_fields(&j, h, fields, text);
    }
    out[j.len++] = '}';
    out[j.len] = '\0';
    return j.len;
}

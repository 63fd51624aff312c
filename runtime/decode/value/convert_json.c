/* Into json, jsonb, text[] and bigint[]. See convert.h.
 *
 * Raw JSON goes through as it is. Arrays become PostgreSQL's literals, of one
 * dimension: items of texts are always quoted, so that none can be mistaken
 * for NULL or for syntax. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode/json/number.h"
#include "decode/json/text.h"
#include "decode/value/convert_part.h"

/* A bigint in digits, with sign and NUL. */
enum { WHOLE_BYTES = 24 };

static void set(struct tm_cell *out, enum tm_tag tag, const char *p, size_t len)
{
    *out = (struct tm_cell){.p = p, .len = (uint32_t)len, .tag = (uint8_t)tag};
}

/* ---- json, jsonb ---- */

/* A \u0000 or half a surrogate pair in raw JSON. */
static const char *find_no_character(const char *p, size_t len)
{
    const char *end = p + len;

    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        size_t n = text_escape(p, end);

        if (n == 0) {
            return p;
        }
        p += n;
    }
    return NULL;
}

static bool refuse_nul(const struct conversion *c, const struct tm_cell *in)
{
    return convert_fail(c, in, "holds \\u0000, which jsonb cannot store");
}

static bool put_document(const struct conversion *c, const struct tm_cell *in,
                         struct tm_cell *out)
{
    const char *at =
        c->t->kind == TYPE_JSONB ? find_no_character(in->p, in->len) : NULL;

    if (at) {
        return convert_fail(
            c, in,
            "holds %.6s%s, which jsonb cannot store: declare "
            "the column as json, or let the producer leave it "
            "out",
            at,
            memcmp(at, "\\u0000", 6) == 0 ? "" : ", half of a surrogate pair");
    }
    set(out, TM_JSON, in->p, in->len);
    return true;
}

/* Debezium writes a document as text. PostgreSQL checks the rest of it. */
static bool put_text_document(const struct conversion *c,
                              const struct tm_cell *in, struct tm_cell *out)
{
    size_t blanks = 0;

    while (blanks < in->len && strchr(" \t\r\n", in->p[blanks])) {
        blanks++;
    }
    if (blanks == in->len || in->p[blanks] == '\0' ||
        !strchr("{[\"-0123456789tfn", in->p[blanks])) {
        return convert_fail(c, in, "is not JSON");
    }
    if (memchr(in->p, '\0', in->len)) {
        return convert_fail(c, in, "is not JSON: it holds a NUL byte");
    }
    return put_document(c, in, out);
}

static char *put_escaped(char *to, unsigned char byte)
{
    static const char named[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    static const char hex[] = "0123456789abcdef";
    const char *name = byte ? strchr(named, byte) : NULL;

    if (byte >= ' ' && byte != '"' && byte != '\\') {
        *to++ = (char)byte;
        return to;
    }
    *to++ = '\\';
    if (name && (name - named) % 2 == 0) {
        *to++ = name[1];
        return to;
    }
    memcpy(to, "u00", 3);
    to[3] = hex[byte >> 4];
    to[4] = hex[byte & 15];
    return to + 5;
}

/*
 * Room for the longest that may come out, of which little is used as a rule. So
 * what is large is made elsewhere, and the arena has what came out.
 */
enum { LARGE = 64 * 1024 };

static char *make_room(const struct conversion *c, size_t size)
{
    return size > LARGE ? mem_alloc(size) : arena_alloc(c->a, size);
}

static void give_up(char *made, size_t size)
{
    if (size > LARGE) {
        free(made);
    }
}

static const char *keep(const struct conversion *c, char *made, size_t size,
                        size_t len)
{
    const char *kept = size > LARGE ? arena_dup(c->a, made, len) : made;

    give_up(made, size);
    return kept;
}

/* A text as a JSON text. */
static bool put_quoted(const struct conversion *c, const struct tm_cell *in,
                       struct tm_cell *out)
{
    size_t size = (size_t)in->len * 6 + 2;
    char *start, *to;

    if (c->t->kind == TYPE_JSONB && memchr(in->p, '\0', in->len)) {
        return refuse_nul(c, in);
    }
    start = to = make_room(c, size);
    *to++ = '"';
    for (uint32_t i = 0; i < in->len; i++) {
        to = put_escaped(to, (unsigned char)in->p[i]);
    }
    *to++ = '"';
    size_t len = (size_t)(to - start);
    set(out, TM_JSON, keep(c, start, size, len), len);
    return true;
}

static bool put_number(const struct conversion *c, const struct tm_cell *in,
                       struct tm_cell *out)
{
    char digits[64];
    size_t len;

    if (in->tag == TM_NUMBER) {
        set(out, TM_JSON, in->p, in->len);
        return true;
    }
    if (in->tag == TM_DOUBLE && !isfinite(in->d)) {
        return convert_fail(c, in, "is not JSON, which has no such number");
    }
    len = convert_digits(in, digits, sizeof(digits));
    set(out, TM_JSON, arena_dup(c->a, digits, len), len);
    return true;
}

bool convert_json(const struct conversion *c, const struct tm_cell *in,
                  struct tm_cell *out)
{
    switch (in->tag) {
    case TM_OBJECT:
    case TM_ARRAY:
        return put_document(c, in, out);
    case TM_TEXT:
        return c->rules->format == FORMAT_DEBEZIUM
                   ? put_text_document(c, in, out)
                   : put_quoted(c, in, out);
    case TM_BOOL:
        set(out, TM_JSON, in->i ? "true" : "false", in->i ? 4 : 5);
        return true;
    default:
        return convert_is_number(in) || in->tag == TM_DOUBLE
                   ? put_number(c, in, out)
                   : convert_is_not(c, in);
    }
}

/* ---- text[], bigint[] ---- */

/* An array literal that grows in a place with room for the worst case. */
struct literal {
    const char *p; /* what is left of the raw JSON */
    const char *end;
    char *to;
    const char *wrong; /* why it cannot be; or NULL */
};

static void skip_blanks(struct literal *l)
{
    while (l->p < l->end &&
           (*l->p == ' ' || *l->p == '\t' || *l->p == '\n' || *l->p == '\r')) {
        l->p++;
    }
}

static bool refuse(struct literal *l, const char *wrong)
{
    l->wrong = wrong;
    return false;
}

/* At the opening quote: the bytes up to the closing one; moves behind it. */
static bool take_text(struct literal *l, const char **text, size_t *len)
{
    const char *p = l->p + 1;

    for (*text = p; p < l->end && *p != '"'; p++) {
        p += *p == '\\';
    }
    if (p >= l->end) {
        return refuse(l, "holds a text that does not end");
    }
    *len = (size_t)(p - *text);
    l->p = p + 1;
    return true;
}

static bool put_text_item(const struct conversion *c, struct literal *l)
{
    const char *raw;
    char *text;
    size_t len;
    int64_t n;

    if (!take_text(l, &raw, &len)) {
        return false;
    }
    text = arena_alloc(c->a, len);
    n = text_unescape(raw, len, text);
    if (n < 0) {
        return refuse(l, "holds a text with a broken escape");
    }
    if (memchr(text, '\0', (size_t)n)) {
        return refuse(l, "holds \\u0000, which PostgreSQL cannot store");
    }
    *l->to++ = '"';
    for (int64_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            *l->to++ = '\\';
        }
        *l->to++ = text[i];
    }
    *l->to++ = '"';
    return true;
}

/* The bytes of a scalar that is no text. */
static size_t take_token(struct literal *l, const char **token)
{
    *token = l->p;
    while (l->p < l->end && !strchr(",] \t\r\n", *l->p)) {
        l->p++;
    }
    return (size_t)(l->p - *token);
}

static bool put_whole(struct literal *l, int64_t v)
{
    l->to += snprintf(l->to, WHOLE_BYTES, "%lld", (long long)v);
    return true;
}

static bool put_integer_item(const struct conversion *c, struct literal *l)
{
    const char *token;
    size_t len;
    struct tm_cell number;

    if (*l->p == '"') {
        if (!take_text(l, &token, &len)) {
            return false;
        }
        return number_read_int(token, len, &number.i)
                   ? put_whole(l, number.i)
                   : refuse(l, "holds a text that is not a bigint");
    }
    len = take_token(l, &token);
    if (!number_read(token, len, c->a, &number) ||
        (number.tag != TM_INT && !number_read_int(token, len, &number.i))) {
        return refuse(l, "holds an item that is not a bigint");
    }
    return put_whole(l, number.i);
}

static bool put_item(const struct conversion *c, struct literal *l)
{
    if (l->end - l->p >= 4 && memcmp(l->p, "null", 4) == 0) {
        memcpy(l->to, "NULL", 4);
        l->to += 4;
        l->p += 4;
        return true;
    }
    if (*l->p == '[' || *l->p == '{') {
        return refuse(l, "is not flat: arrays and objects inside an array "
                         "have no place in the column");
    }
    if (c->t->kind == TYPE_BIGINT_ARRAY) {
        return put_integer_item(c, l);
    }
    return *l->p == '"' ? put_text_item(c, l)
                        : refuse(l, "holds an item that is not a text");
}

/* Behind the opening bracket: all items, and the closing one. */
static bool put_items(const struct conversion *c, struct literal *l)
{
    skip_blanks(l);
    if (l->p < l->end && *l->p == ']') {
        return true;
    }
    for (;; *l->to++ = ',') {
        skip_blanks(l);
        if (l->p == l->end || !put_item(c, l)) {
            return l->wrong ? false : refuse(l, "does not end");
        }
        skip_blanks(l);
        if (l->p == l->end || (*l->p != ',' && *l->p != ']')) {
            return refuse(l, "is not a JSON array");
        }
        if (*l->p++ == ']') {
            return true;
        }
    }
}

bool convert_array(const struct conversion *c, const struct tm_cell *in,
                   struct tm_cell *out)
{
    struct literal l;
    size_t size, len;
    char *start;

    if (in->tag == TM_TEXT && in->len >= 2 && in->p[0] == '{' &&
        in->p[in->len - 1] == '}' && !memchr(in->p, '\0', in->len)) {
        set(out, TM_LITERAL, in->p, in->len);
        return true;
    }
    if (in->tag != TM_ARRAY) {
        return convert_is_not(c, in);
    }
    /* Each byte may need a backslash, and 1e18 becomes 19 digits. */
    size = (size_t)in->len * 7 + WHOLE_BYTES;
    start = make_room(c, size);
    l = (struct literal){.p = in->p + 1, .end = in->p + in->len, .to = start};
    *l.to++ = '{';
    if (!put_items(c, &l)) {
        give_up(start, size);
        return convert_fail(c, in, "%s", l.wrong);
    }
    *l.to++ = '}';
    len = (size_t)(l.to - start);
    set(out, TM_LITERAL, keep(c, start, size, len), len);
    return true;
}

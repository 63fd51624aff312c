/* See walk.h. */
#include "decode/json/walk.h"

#include <string.h>

#include "base/utf8.h"
#include "decode/json/number.h"
#include "decode/json/text.h"
#include "decode/json/walk_part.h"

const char WALK_NOT_UTF8[] = "bytes that are not UTF-8";
const char WALK_HALF_PAIR[] =
    "half of a surrogate pair, such as \\ud83d alone, which is no character";

bool walk_fail(struct walk *w, const char *fault)
{
    if (!w->fault) {
        w->fault = fault;
        w->fault_at = w->i < w->n ? w->at[w->i] : w->len;
    }
    return false;
}

/* A character that the end of the document cuts is no other encoding. */
static bool is_cut_character(const char *p, size_t len)
{
    unsigned char first = (unsigned char)p[0];
    size_t whole = first >= 0xF0   ? 4
                   : first >= 0xE0 ? 3
                   : first >= 0xC2 ? 2
                                   : 0;

    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)p[i] & 0xC0) != 0x80) {
            return false;
        }
    }
    return len < whole;
}

/* simdjson does not say where: the byte is looked for here. Of bytes in another
 * encoding it sees a text without an end first, where one of them is a quote or
 * a backslash. */
static bool not_indexed(struct walk *w, enum json_fault fault)
{
    static const char *const texts[] = {
        [JSON_FINE] = NULL,
        [JSON_EMPTY] = "it is empty",
        [JSON_UTF8] = WALK_NOT_UTF8,
        [JSON_CONTROL] = "a control byte inside a text",
        [JSON_UNCLOSED] = "cut off inside a text",
        [JSON_TOO_LONG] = "it is too long",
    };

    size_t good = utf8_valid(w->p, w->len);

    if (fault == JSON_UNCLOSED && good < w->len &&
        !is_cut_character(w->p + good, w->len - good)) {
        fault = JSON_UTF8;
    }
    w->i = w->n = 0;
    walk_fail(w, texts[fault]);
    if (fault == JSON_UTF8) {
        w->fault_at = (uint32_t)good;
    } else if (fault == JSON_CONTROL) {
        w->fault_at = (uint32_t)text_control(w->p, w->len);
    }
    return false;
}

bool walk_open(struct walk *w, const char *p, size_t len)
{
    w->p = p;
    w->len = (uint32_t)len;
    w->i = 0;
    w->plain_from = w->plain_to = w->checked = 0;
    w->fault = NULL;
    w->is_misfit = false;

    enum json_fault fault = json_index_run(w->index, p, len, &w->at, &w->n);
    return fault == JSON_FINE || not_indexed(w, fault);
}

bool walk_end(struct walk *w)
{
    if (w->i < w->n) {
        return walk_fail(w, "something follows the JSON value");
    }
    w->checked = w->n;
    return true;
}

bool walk_find_escape(struct walk *w, uint32_t from, uint32_t to)
{
    if (from < w->plain_from || from > w->plain_to) {
        w->plain_from = w->plain_to = from;
    }
    if (to <= w->plain_to) {
        return false;
    }
    if (w->plain_to < w->len && w->p[w->plain_to] == '\\') {
        return true;
    }
    const char *found = memchr(w->p + w->plain_to, '\\', w->len - w->plain_to);
    w->plain_to = found ? (uint32_t)(found - w->p) : w->len;
    return w->plain_to < to;
}

static bool read_escaped(struct walk *w, const char *p, uint32_t len,
                         struct tm_cell *out)
{
    char *text = arena_alloc(w->arena, len);
    int64_t n = text_unescape(p, len, text);

    if (n < 0) {
        return walk_fail(w, text_escapes_are_right(p, len)
                                ? WALK_HALF_PAIR
                                : "a text with a wrong escape");
    }
    out->p = text;
    out->len = (uint32_t)n;
    out->tag = TM_TEXT;
    return true;
}

static bool read_text(struct walk *w, struct tm_cell *out)
{
    uint32_t from, to;

    if (!text_range(w, &from, &to)) {
        return false;
    }
    if (has_escape(w, from, to)) {
        if (!read_escaped(w, w->p + from, to - from, out)) {
            return false;
        }
    } else {
        out->p = w->p + from;
        out->len = to - from;
        out->tag = TM_TEXT;
    }
    w->i++;
    return true;
}

static bool read_scalar(struct walk *w, struct tm_cell *out)
{
    const char *p = w->p + w->at[w->i];
    uint32_t len = scalar_end(w) - w->at[w->i];

    if (len == 4 && memcmp(p, "null", 4) == 0) {
        out->tag = TM_NULL;
    } else if (len == 4 && memcmp(p, "true", 4) == 0) {
        out->i = 1;
        out->tag = TM_BOOL;
    } else if (len == 5 && memcmp(p, "false", 5) == 0) {
        out->i = 0;
        out->tag = TM_BOOL;
    } else if (!number_read(p, len, w->arena, out)) {
        return walk_fail(w, "neither a value nor a number");
    }
    w->i++;
    return true;
}

bool walk_value(struct walk *w, struct tm_cell *out)
{
    uint32_t first = w->i;
    char c = walk_char(w);

    if (c == '"') {
        return read_text(w, out);
    }
    if (c == '{' || c == '[') {
        if (!walk_skip(w)) {
            return false;
        }
        walk_since(w, first, out);
        return true;
    }
    if (c == '\0' || c == ',' || c == ':' || c == '}' || c == ']') {
        return walk_skip(w); /* which says what is wrong */
    }
    return read_scalar(w, out);
}

bool walk_raw(struct walk *w, struct tm_cell *out)
{
    uint32_t first = w->i;

    if (!walk_value(w, out)) {
        return false;
    }
    if (out->tag != TM_TEXT && out->tag != TM_OBJECT && out->tag != TM_ARRAY) {
        w->i = first;
        out->p = w->p + w->at[first];
        out->len = scalar_end(w) - w->at[first];
        out->tag = TM_TEXT;
        w->i++;
    }
    return true;
}

/* ---- objects ---- */

static __attribute__((noinline)) enum walk_step
check_name(struct walk *w, const struct walk_key *k)
{
    if (!text_escapes_are_right(k->p, k->len)) {
        walk_fail(w, "a field name with a wrong escape");
        return WALK_FAULT;
    }
    w->i += 2;
    return WALK_MEMBER;
}

static inline __attribute__((always_inline)) enum walk_step
read_key(struct walk *w, struct walk_key *k)
{
    uint32_t from, to;

    if (walk_char(w) != '"' || w->i + 1 >= w->n ||
        w->p[w->at[w->i + 1]] != ':') {
        walk_fail(w, "a field name is missing");
        return WALK_FAULT;
    }
    if (!text_range(w, &from, &to)) {
        return WALK_FAULT;
    }
    k->p = w->p + from;
    k->len = to - from;
    k->has_escape = has_escape(w, from, to);
    if (k->has_escape) {
        return check_name(w, k);
    }
    w->i += 2;
    return WALK_MEMBER;
}

enum walk_step walk_first(struct walk *w, struct walk_key *k)
{
    w->i++;
    if (walk_char(w) == '}') {
        w->i++;
        return WALK_END;
    }
    return read_key(w, k);
}

enum walk_step walk_next(struct walk *w, struct walk_key *k)
{
    char c = walk_char(w);

    if (c == ',') {
        w->i++;
        return read_key(w, k);
    }
    if (c == '}') {
        w->i++;
        return WALK_END;
    }
    walk_fail(w, c ? "a comma or brace is missing" : "cut off");
    return WALK_FAULT;
}

bool walk_unreadable(struct walk *w, uint32_t first, struct tm_cell *cell)
{
    const char *fault = w->fault;
    uint32_t fault_at = w->fault_at;
    bool is_misfit = w->is_misfit;

    w->fault = NULL;
    w->is_misfit = false;
    w->i = first;
    w->checked = 0; /* not all that was walked since [first] was checked */
    if (!walk_skip(w)) {
        w->fault = fault;
        w->fault_at = fault_at;
        return false;
    }
    if (cell) {
        *cell = (struct tm_cell){
            .p = fault, .tag = TM_UNREADABLE, .scale = is_misfit};
    }
    return true;
}

/*
 * The half of walk.h that passes over what nobody wants. It is checked as
 * strictly as what is read, so that a record which was applied is JSON as a
 * whole, whatever another version of the pipeline reads of it. Only half a
 * surrogate pair passes, which is JSON but no text of UTF-8: that is a fault
 * where the text is read.
 */
#include "decode/json/number.h"
#include "decode/json/text.h"
#include "decode/json/walk_part.h"

/* The compiler would call them once a token. */
#define INLINE inline __attribute__((always_inline))

static bool fail_at(struct walk *w, uint32_t i, const char *fault)
{
    w->i = i;
    return walk_fail(w, fault);
}

/* The text at structural i may hold a backslash. */
static __attribute__((noinline)) bool check_text(struct walk *w, uint32_t i)
{
    uint32_t from, to;

    w->i = i;
    if (!text_range(w, &from, &to)) {
        return false;
    }
    return !has_escape(w, from, to) ||
           text_escapes_are_right(w->p + from, to - from) ||
           walk_fail(w, "a text with a wrong escape");
}

/* Every text is closed, and nothing but blanks stands between its end and the
 * next structural: the index says so. */
static INLINE bool pass_text(struct walk *w, uint32_t i)
{
    return w->at[i + 1] <= w->plain_to || check_text(w, i);
}

static inline bool is_word(const char *p, uint32_t len)
{
    return (len == 4 &&
            (memcmp(p, "null", 4) == 0 || memcmp(p, "true", 4) == 0)) ||
           (len == 5 && memcmp(p, "false", 5) == 0);
}

static INLINE bool is_scalar(const struct walk *w, uint32_t i, char c)
{
    const char *p = w->p + w->at[i];
    uint32_t len = token_end(w, i) - w->at[i];

    return (c >= '0' && c <= '9') || c == '-' ? number_is(p, len)
                                              : is_word(p, len);
}

/* At what should be a value and is none, or a name or what comes between. */
static __attribute__((noinline)) bool no_value(struct walk *w, uint32_t i)
{
    w->i = i;
    switch (walk_char(w)) {
    case ',':
    case ':':
    case '}':
    case ']':
        return walk_fail(w, "a value is missing");
    case '\0':
        return walk_fail(w, i < w->n ? "a NUL byte" : "cut off");
    default:
        return walk_fail(w, "neither a value nor a number");
    }
}

static bool no_end(struct walk *w, uint32_t i)
{
    return fail_at(
        w, i, i < w->n ? "a comma, brace or bracket is missing" : "cut off");
}

/* Behind a field name and its colon at structural i; 0: something is wrong. */
static INLINE uint32_t pass_name(struct walk *w, uint32_t i)
{
    if (i + 1 >= w->n || w->p[w->at[i]] != '"' || w->p[w->at[i + 1]] != ':') {
        return fail_at(w, i, "a field name is missing");
    }
    return pass_text(w, i) ? i + 2 : 0;
}

/* At a value: behind its first scalar or empty container, which may be the
 * value itself; 0: something is wrong. */
static INLINE uint32_t pass_value(struct walk *w, uint32_t i, char *closing,
                                  uint32_t *depth)
{
    while (i < w->n) {
        char c = w->p[w->at[i]];

        if (c == '"') {
            return pass_text(w, i) ? i + 1 : 0;
        }
        if (c != '{' && c != '[') {
            return is_scalar(w, i, c) ? i + 1 : no_value(w, i);
        }
        if (*depth == WALK_DEEPEST) {
            return fail_at(w, i, "nested deeper than 1000");
        }
        c += 2; /* '{' and '}', '[' and ']' */
        i++;
        if (i < w->n && w->p[w->at[i]] == c) {
            return i + 1;
        }
        closing[(*depth)++] = c;
        if (c == '}' && !(i = pass_name(w, i))) {
            return 0;
        }
    }
    return no_value(w, i);
}

/* Behind a value: behind all that ends there, or at the next value of what does
 * not; 0: something is wrong. */
static INLINE uint32_t pass_end(struct walk *w, uint32_t i, const char *closing,
                                uint32_t *depth)
{
    while (*depth > 0 && i < w->n && w->p[w->at[i]] == closing[*depth - 1]) {
        i++;
        (*depth)--;
    }
    if (*depth == 0) {
        return i;
    }
    if (i == w->n || w->p[w->at[i]] != ',') {
        return no_end(w, i);
    }
    return closing[*depth - 1] == '}' ? pass_name(w, i + 1) : i + 1;
}

/* Passes over a value; with [is_behind], from behind one over the rest of the
 * object that it is in. What is open is known by the byte that closes it. */
static INLINE bool pass(struct walk *w, bool is_behind)
{
    char closing[WALK_DEEPEST];
    uint32_t depth = 0, i = w->i;

    /* What is known of backslashes begins at or before the walk's place. */
    has_escape(w, w->at[i], w->at[i]);
    if (is_behind) {
        closing[depth++] = '}';
    }
    do {
        i = is_behind ? i : pass_value(w, i, closing, &depth);
        if (i == 0 && !is_behind) {
            return false;
        }
        i = pass_end(w, i, closing, &depth);
        is_behind = false;
    } while (i > 0 && depth > 0);
    w->i = i > 0 ? i : w->i;
    return i > 0;
}

/* What was passed before is only counted: brackets become braces, from which
 * they differ in one bit. */
static bool pass_again(struct walk *w, int32_t depth)
{
    while (w->i < w->n) {
        char c = (char)(w->p[w->at[w->i++]] | 0x20);

        depth += (c == '{') - (c == '}');
        if (depth == 0) {
            return true;
        }
    }
    return walk_fail(w, "cut off");
}

static inline bool end(struct walk *w, bool ok)
{
    w->checked = ok ? w->i : 0;
    return ok;
}

static bool skip_container(struct walk *w)
{
    return end(w, pass(w, false));
}

static inline bool skip_scalar(struct walk *w, char c)
{
    if (c == '"' ? !has_escape(w, w->at[w->i], w->at[w->i + 1]) ||
                       check_text(w, w->i)
                 : w->i < w->n && is_scalar(w, w->i, c)) {
        w->i++;
        return true;
    }
    return w->fault ? false : no_value(w, w->i);
}

bool walk_skip(struct walk *w)
{
    char c = walk_char(w);

    if (w->i < w->checked) {
        return pass_again(w, 0);
    }
    return c == '{' || c == '[' ? skip_container(w) : skip_scalar(w, c);
}

bool walk_leave(struct walk *w)
{
    return w->i < w->checked ? pass_again(w, 1) : end(w, pass(w, true));
}

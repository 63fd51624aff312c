/* See grammar.h. One byte at a time, as RFC 8259 has it: no index, no tables. */
#include "grammar.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { ODD_DEPTH = 900 };

struct text {
    const char *p, *end;
    bool is_odd;
};

static bool take(struct text *t, char c)
{
    bool is_there = t->p < t->end && *t->p == c;

    t->p += is_there;
    return is_there;
}

static void skip_blanks(struct text *t)
{
    while (t->p < t->end && *t->p && strchr(" \t\n\r", *t->p)) {
        t->p++;
    }
}

static bool take_word(struct text *t, const char *word)
{
    size_t len = strlen(word);
    bool is_there =
        (size_t)(t->end - t->p) >= len && memcmp(t->p, word, len) == 0;

    t->p += is_there ? len : 0;
    return is_there;
}

static bool take_digits(struct text *t)
{
    const char *from = t->p;

    while (t->p < t->end && *t->p >= '0' && *t->p <= '9') {
        t->p++;
    }
    return t->p > from;
}

static bool take_number(struct text *t)
{
    take(t, '-');
    if (!take(t, '0') && !take_digits(t)) {
        return false;
    }
    if (take(t, '.') && !take_digits(t)) {
        return false;
    }
    if (take(t, 'e') || take(t, 'E')) {
        if (!take(t, '+')) {
            take(t, '-');
        }
        return take_digits(t);
    }
    return true;
}

/* The four digits behind \\u; -1: they are none. */
static long take_hex(struct text *t)
{
    char digits[5] = "";

    if (t->end - t->p < 4) {
        return -1;
    }
    memcpy(digits, t->p, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") != 4) {
        return -1;
    }
    t->p += 4;
    return strtol(digits, NULL, 16);
}

static bool take_escape(struct text *t, bool *is_high)
{
    if (t->p == t->end) {
        return false;
    }
    if (!take(t, 'u')) {
        t->is_odd |= *is_high;
        *is_high = false;
        return *t->p && strchr("\"\\/bfnrt", *t->p++);
    }
    long unit = take_hex(t);
    bool is_low = unit >= 0xdc00 && unit <= 0xdfff;

    t->is_odd |= *is_high != is_low;
    *is_high = unit >= 0xd800 && unit <= 0xdbff;
    return unit >= 0;
}

static bool take_text(struct text *t)
{
    bool is_high = false; /* half of a pair, its other half is to follow */

    if (!take(t, '"')) {
        return false;
    }
    while (!take(t, '"')) {
        if (t->p == t->end || (unsigned char)*t->p < 0x20) {
            return false;
        }
        if (!take(t, '\\')) {
            t->is_odd |= is_high;
            is_high = false;
            t->p++;
        } else if (!take_escape(t, &is_high)) {
            return false;
        }
    }
    t->is_odd |= is_high;
    return true;
}

static bool take_value(struct text *t, int depth);

static bool take_items(struct text *t, bool has_names, char closing, int depth)
{
    skip_blanks(t);
    if (take(t, closing)) {
        return true;
    }
    do {
        skip_blanks(t);
        if (has_names) {
            if (!take_text(t)) {
                return false;
            }
            skip_blanks(t);
            if (!take(t, ':')) {
                return false;
            }
        }
        if (!take_value(t, depth)) {
            return false;
        }
    } while (take(t, ','));
    return take(t, closing);
}

/* With the blanks around it. */
static bool take_value(struct text *t, int depth)
{
    bool ok;

    t->is_odd |= depth > ODD_DEPTH;
    skip_blanks(t);
    if (t->p < t->end && *t->p == '"') {
        ok = take_text(t);
    } else if (take(t, '{')) {
        ok = take_items(t, true, '}', depth + 1);
    } else if (take(t, '[')) {
        ok = take_items(t, false, ']', depth + 1);
    } else {
        ok = take_word(t, "true") || take_word(t, "false") ||
             take_word(t, "null") || take_number(t);
    }
    skip_blanks(t);
    return ok;
}

enum grammar grammar_of(const char *p, size_t len)
{
    struct text t = {.p = p, .end = p + len};

    if (utf8_valid(p, len) < len || !take_value(&t, 1) || t.p < t.end) {
        return GRAMMAR_NOT;
    }
    return t.is_odd ? GRAMMAR_ODD : GRAMMAR_JSON;
}

#pragma once
/* What walk.c and walk_skip.c share: tokens of a walk. */
#include "decode/json/walk.h"

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Behind the last byte of the scalar at structural i: blanks are dropped. */
static inline uint32_t token_end(const struct walk *w, uint32_t i)
{
    uint32_t end = w->at[i + 1];

    if ((unsigned char)w->p[end - 1] <= ' ') { /* JSON is mostly without */
        while (is_blank(w->p[end - 1])) {
            end--;
        }
    }
    return end;
}

static inline uint32_t scalar_end(const struct walk *w)
{
    return token_end(w, w->i);
}

/*
 * Whether [from, to) holds a backslash. What memchr found out about the bytes
 * behind it is kept, so a document is searched once, not once a text.
 */
bool walk_find_escape(struct walk *w, uint32_t from, uint32_t to);
static inline bool has_escape(struct walk *w, uint32_t from, uint32_t to)
{
    return (from < w->plain_from || to > w->plain_to) &&
           walk_find_escape(w, from, to);
}

/* The text at structural i, between its quotes: [*from, *to). */
static inline bool text_range(struct walk *w, uint32_t *from, uint32_t *to)
{
    *from = w->at[w->i] + 1;
    *to = scalar_end(w) - 1;
    return (*to >= *from && w->p[*to] == '"') ||
           walk_fail(w, "a text that does not end");
}

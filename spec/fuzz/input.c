/* See input.h. */
#include "input.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

uint8_t input_byte(struct input *in)
{
    if (in->len == 0) {
        return 0;
    }
    in->len--;
    return *in->p++;
}

/* Bytes up to the mark, and moves behind it. */
static size_t cut(struct input *in, const uint8_t **from)
{
    const uint8_t *end =
        in->len ? memchr(in->p, PIECE_END, in->len) : (const uint8_t *)NULL;
    size_t len = end ? (size_t)(end - in->p) : in->len;

    *from = in->p;
    in->p += len + (end != NULL);
    in->len -= len + (end != NULL);
    return len;
}

bool input_piece(struct input *in, struct piece *out)
{
    const uint8_t *from;

    *out = (struct piece){0};
    if (in->len == 0) {
        return false;
    }
    size_t len = cut(in, &from);
    if (len == 1 && *from == '~') {
        return true;
    }
    out->p = mem_alloc(len);
    out->len = len;
    if (len > 0) {
        memcpy(out->p, from, len);
    }
    return true;
}

char *input_text(struct input *in)
{
    const uint8_t *from;
    size_t len = cut(in, &from);
    char *text = mem_alloc(len + 1);

    if (len > 0) {
        memcpy(text, from, len);
    }
    text[len] = '\0';
    return text;
}

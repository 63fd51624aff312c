#pragma once
/*
 * What one input of a fuzz target is cut into. Bytes that choose come first;
 * the rest are pieces that end with PIECE_END, a byte which no JSON text, no
 * header and no Lua file of sense holds, so that seeds can be read and
 * written by hand. Each piece lies in a block of its own: a sanitizer sees
 * every byte that is read beyond it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIECE_END = 0x1e };

struct input {
    const uint8_t *p; /* borrowed */
    size_t len;
};

struct piece {
    char *p; /* owned; NULL: the piece is "~", or there was none */
    size_t len;
};

/* What every target gives to libFuzzer and to replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next byte; 0 behind the end. */
uint8_t input_byte(struct input *in);
/* False: nothing is left. */
bool input_piece(struct input *in, struct piece *out);
/* The next piece as a string, cut at its first NUL; "" behind the end. The
 * caller frees it. */
char *input_text(struct input *in);

/* See typed.h. */
#include "cli/typed.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static char program[512] = "tidemill";

static bool is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-./:@%+=,";

    return word[0] != '\0' && word[strspn(word, plain)] == '\0';
}

void typed_word(struct buf *out, const char *word)
{
    if (is_plain(word)) {
        buf_puts(out, word);
        return;
    }
    buf_puts(out, "'");
    for (; *word; word++) {
        buf_printf(out, *word == '\'' ? "'\\''" : "%c", *word);
    }
    buf_puts(out, "'");
}

void typed_program_is(const char *word)
{
    struct buf out = {0};

    typed_word(&out, word);
    if (out.len < sizeof(program)) {
        snprintf(program, sizeof(program), "%s", buf_text(&out));
    }
    buf_close(&out);
}

const char *typed_program(void)
{
    return program;
}

#pragma once
/*
 * Commands for people to type: with the program as this one was called
 * (./tidemill, tidemill), and words in quotes where a shell needs them.
 */
#include "base/buf.h"

/* argv[0]; borrowed for as long as the process runs. */
void typed_program_is(const char *word);
/* As a shell wants it. */
const char *typed_program(void);
/* One word, in quotes if it needs them. */
void typed_word(struct buf *out, const char *word);

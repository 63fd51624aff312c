#pragma once
/* The word somebody probably meant. */
#include <stddef.h>

/* The nearest of [words], or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words, size_t n);

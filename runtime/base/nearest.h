#pragma once
#include <stddef.h>

/* The nearest of [n] words by edit distance, with swapped neighbours as one edit,
 * whatever their case; NULL: none is near. */
const char *nearest_word(const char *word, const char *const *words, size_t n);
/* The same: its place, or -1, and its distance in thousandths of a letter. */
int nearest_place(const char *word, const char *const *words, size_t n,
                  size_t *distance);

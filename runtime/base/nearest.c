/* The nearest word by edit distance, with swapped neighbours as one edit. */
#include "base/nearest.h"

#include <string.h>

enum { LONGEST = 32 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1], n_a = strlen(a), n_b = strlen(b);
    if (n_a > LONGEST || n_b > LONGEST) {
        return LONGEST;
    }
    for (size_t j = 0; j <= n_b; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]),
                           least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
                a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[n_a % 3][n_b];
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    /* A third of the letters may be wrong; more is a guess. */
    size_t best = strlen(word) / 3 + 1;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        /* Some of its letters must be right: any two are near any two. */
        size_t n_letters =
            strlen(word) > strlen(words[i]) ? strlen(word) : strlen(words[i]);
        if (d < n_letters && d <= best && (!found || d < best)) {
            best = d;
            found = words[i];
        }
    }
    return found;
}

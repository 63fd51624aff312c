/* See nearest.h. Distances are in thousandths of a letter. */
#include "base/nearest.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LETTER = 1000, LONGEST = 100, SHORTEST_BEGINNING = 4 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static int is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t count_edits(const char *a, const char *b)
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
            row[j] = least(above[j - 1] + !is_same(a[i - 1], b[j - 1]),
                           least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) &&
                is_same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[n_a % 3][n_b];
}

/* One may be the beginning of the other, as in millis and milliseconds: the
 * longest of several. */
static size_t distance_of(const char *a, const char *b)
{
    size_t d = LETTER * count_edits(a, b);
    size_t n_b = strlen(b), n = least(strlen(a), n_b);
    if (n >= SHORTEST_BEGINNING && strncasecmp(a, b, n) == 0) {
        d = least(d, LETTER * 3 / 2 - least(n_b, LETTER));
    }
    return d;
}

int nearest_place(const char *word, const char *const *words, size_t n,
                  size_t *distance)
{
    /* A third of the letters may be wrong; more is a guess. Some must be right:
     * any two are near any two. */
    size_t len = strlen(word), right = len > 2 ? len - 2 : 1;
    size_t best = LETTER * (least(most(2, len / 3), right) + 1);
    int found = -1;
    for (size_t i = 0; i < n && len <= LONGEST; i++) {
        size_t d = distance_of(word, words[i]);
        if (d < best && d < LETTER * most(len, strlen(words[i]))) {
            best = d;
            found = (int)i;
        }
    }
    *distance = best;
    return found;
}

const char *nearest_word(const char *word, const char *const *words, size_t n)
{
    size_t distance;
    int at = nearest_place(word, words, n, &distance);
    return at < 0 ? NULL : words[at];
}

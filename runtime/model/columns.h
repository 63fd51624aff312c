#pragma once
/*
 * Sets of columns of a projection: bit i % 64 of word i / 64 is columns[i]. A set
 * has as many words as the projection has columns for, one for up to 64 of them;
 * NULL is an empty one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As PostgreSQL has them: of a table, and of an index. */
enum { PLAN_COLUMNS = 1600, PLAN_KEY_COLUMNS = 32 };
enum { PLAN_COLUMN_WORDS = PLAN_COLUMNS / 64 };

static inline uint32_t columns_words(uint32_t n_columns)
{
    return (n_columns + 63) / 64;
}

static inline bool columns_has(const uint64_t *set, uint32_t column)
{
    return set && (set[column / 64] >> column % 64 & 1);
}

static inline void columns_add(uint64_t *set, uint32_t column)
{
    set[column / 64] |= 1ULL << column % 64;
}

static inline bool columns_equal(const uint64_t *a, const uint64_t *b,
                                 uint32_t n_words)
{
    for (uint32_t w = 0; a && b && w < n_words; w++) {
        if (a[w] != b[w]) {
            return false;
        }
    }
    return a && b ? true : a == b;
}

/* Are all columns of [a] in [b]? */
static inline bool columns_within(const uint64_t *a, const uint64_t *b,
                                  uint32_t n_words)
{
    for (uint32_t w = 0; w < n_words; w++) {
        if (a[w] & ~b[w]) {
            return false;
        }
    }
    return true;
}

#pragma once
/*
 * Memory that is freed all at once: for what lives as long as one batch or one
 * loaded pipeline. arena_reset() keeps blocks up to [keep_bytes] and frees the
 * others, so a steady load allocates nothing. Out of memory aborts: callers
 * never test for NULL. Not for threads.
 *
 * Arenas may share a limit. An allocation never fails because of it: when
 * whole blocks exceed it, is_over is set, and whoever allocates more checks
 * that now and then.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena_limit {
    size_t taken; /* bytes of all blocks that its arenas have begun */
    size_t most;  /* 0: any number */
    bool is_over; /* stays until whoever set [most] clears it */
};

struct arena {
    struct arena_block *first;   /* owned */
    struct arena_block *current; /* where the next bytes come from */
    size_t used;                 /* bytes of [current] that are taken */
    size_t total_bytes;          /* of all blocks */
    size_t keep_bytes;           /* kept by arena_reset */
    size_t taken;                /* bytes of the blocks that were begun */
    struct arena_limit *limit;   /* borrowed; NULL: none */
};

void arena_init(struct arena *a, size_t keep_bytes);
void arena_close(struct arena *a);
void arena_reset(struct arena *a);
/* [size] bytes aligned to 16, not zeroed. */
void *arena_alloc(struct arena *a, size_t size);
/* The same, zeroed. */
void *arena_zero(struct arena *a, size_t size);
/* A copy of [len] bytes with a NUL behind it. */
char *arena_dup(struct arena *a, const void *p, size_t len);
char *arena_printf(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Bytes of memory that this process has; 0: not known. Some microseconds. */
uint64_t mem_resident(void);
/* Aborts: the machine has no [size] bytes for this process. */
_Noreturn void mem_exhausted(size_t size);
/* malloc and friends that do so. */
void *mem_alloc(size_t size);
void *mem_zero(size_t n, size_t size);
void *mem_grow(void *p, size_t size);
char *mem_dup(const char *s);

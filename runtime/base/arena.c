/* See arena.h. The chain keeps its order: blocks before [current] are full,
 * those behind it are free for the next allocations. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"

/*
 * A build with AddressSanitizer is shown where each allocation ends, which it
 * could not see inside a block: the bytes between two of them are poisoned,
 * and so is all that was given back.
 */
#if IS_DEBUG
#include <sanitizer/asan_interface.h>
enum { GAP = 16 };
#define HIDE(p, size) ASAN_POISON_MEMORY_REGION(p, size)
#define SHOW(p, size) ASAN_UNPOISON_MEMORY_REGION(p, size)
#else
enum { GAP = 0 };
#define HIDE(p, size) ((void)(p), (void)(size))
#define SHOW(p, size) ((void)(p), (void)(size))
#endif

/* A block must hold many small cells, yet a small pipeline need not take a
 * megabyte: sizes double from one bound to the other. */
enum { BLOCK_MIN = 16 * 1024, BLOCK_MAX = 1024 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t cap;
    _Alignas(ALIGNMENT) char data[];
};

_Noreturn void mem_exhausted(size_t size)
{
    struct rlimit space;
    bool is_limited =
        getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY;

    if (is_limited) {
        err_last_words("out of memory", "bytes=%zu RLIMIT_AS=%llu", size,
                       (unsigned long long)space.rlim_cur);
    } else {
        err_last_words("out of memory", "bytes=%zu", size);
    }
    abort();
}

uint64_t mem_resident(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f) {
        pages = fscanf(f, "%*u %llu", &pages) == 1 ? pages : 0;
        fclose(f);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (!p) {
        mem_exhausted(size);
    }
    return p;
}

void *mem_zero(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p) {
        mem_exhausted(n * size);
    }
    return p;
}

void *mem_grow(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q) {
        mem_exhausted(size);
    }
    return q;
}

char *mem_dup(const char *s)
{
    size_t size = strlen(s) + 1;

    return memcpy(mem_alloc(size), s, size);
}

void arena_init(struct arena *a, size_t keep_bytes)
{
    *a = (struct arena){.keep_bytes = keep_bytes};
}

/*
 * Large blocks come from the kernel and go back to it. Were they malloc'ed, what
 * a large batch gave back would stay in pieces between the texts of scripts, and
 * the next one would take as much again. Where leaks are looked for, that must
 * see what blocks point to.
 */
static bool is_mapped(size_t cap)
{
    return !IS_DEBUG && cap >= BLOCK_MAX;
}

static struct arena_block *get_block(size_t cap)
{
    size_t size = sizeof(struct arena_block) + cap;
    struct arena_block *block;

    if (!is_mapped(cap)) {
        return mem_alloc(size);
    }
    block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        mem_exhausted(size);
    }
    return block;
}

static void free_block(struct arena_block *block)
{
    if (is_mapped(block->cap)) {
        munmap(block, sizeof(*block) + block->cap);
    } else {
        free(block);
    }
}

static void free_chain(struct arena *a, struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;

        a->total_bytes -= block->cap;
        free_block(block);
        block = next;
    }
}

/* The current block was begun. */
static void take(struct arena *a)
{
    struct arena_limit *l = a->limit;

    a->taken += a->current->cap;
    if (l) {
        l->taken += a->current->cap;
        l->is_over |= l->most && l->taken > l->most;
    }
}

static void give_back(struct arena *a)
{
    if (a->limit) {
        a->limit->taken -= a->taken;
    }
    a->taken = 0;
}

void arena_close(struct arena *a)
{
    give_back(a);
    free_chain(a, a->first);
    *a = (struct arena){.keep_bytes = a->keep_bytes, .limit = a->limit};
}

void arena_reset(struct arena *a)
{
    struct arena_block **link = &a->first;
    size_t kept = 0;

    while (*link && kept + (*link)->cap <= a->keep_bytes) {
        kept += (*link)->cap;
        HIDE((*link)->data, (*link)->cap);
        link = &(*link)->next;
    }
    free_chain(a, *link);
    *link = NULL;
    a->current = a->first;
    a->used = 0;
    give_back(a);
    if (a->current) {
        take(a);
    }
}

static struct arena_block *new_block(struct arena *a, size_t size)
{
    size_t cap = a->total_bytes;
    struct arena_block *block;

    cap = cap < BLOCK_MIN ? BLOCK_MIN : cap > BLOCK_MAX ? BLOCK_MAX : cap;
    cap = cap < size ? size : cap;
    block = get_block(cap);
    block->next = NULL;
    block->cap = cap;
    a->total_bytes += cap;
    HIDE(block->data, cap);
    return block;
}

/* The next block when it is large enough, else a new one in front of it, so
 * that one large allocation does not waste the small blocks behind. */
static __attribute__((noinline)) void *alloc_slow(struct arena *a, size_t size)
{
    struct arena_block **link = a->current ? &a->current->next : &a->first;

    if (!*link || (*link)->cap < size) {
        struct arena_block *block = new_block(a, size);

        block->next = *link;
        *link = block;
    }
    a->current = *link;
    a->used = size;
    take(a);
    return a->current->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *block = a->current;
    size_t room;
    void *p;

    if (size > SIZE_MAX - BLOCK_MAX) {
        mem_exhausted(size);
    }
    room = (size + GAP + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!block || room > block->cap - a->used) {
        p = alloc_slow(a, room);
    } else {
        p = block->data + a->used;
        a->used += room;
    }
    SHOW(p, size);
    return p;
}

void *arena_zero(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

char *arena_dup(struct arena *a, const void *p, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    if (len > 0) {
        memcpy(copy, p, len);
    }
    copy[len] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return arena_dup(a, "", 0);
    }
    text = arena_alloc(a, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

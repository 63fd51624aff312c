/* See poison_table.h. */
#include "model/poison_table.h"

#include <stdio.h>
#include <string.h>

enum { DEATHS_POISON = 2 };

static bool is_same(const struct page_place *a, const struct page_place *b)
{
    return a->partition == b->partition && a->offset == b->offset &&
           strncmp(a->topic, b->topic, sizeof(a->topic)) == 0;
}

static struct page_poison *find(struct page *p, const struct page_place *at)
{
    for (uint32_t i = 0; i < PAGE_POISON; i++) {
        if (p->poison[i].deaths && is_same(&p->poison[i].place, at)) {
            return &p->poison[i];
        }
    }
    return NULL;
}

uint32_t poison_table_count(const struct page *p)
{
    uint32_t n = __atomic_load_n(&p->n_poison, __ATOMIC_ACQUIRE);

    return n < PAGE_POISON ? n : PAGE_POISON;
}

static bool is_passed(struct page *p, const struct page_poison *s)
{
    const struct page_lane *lane =
        page_lane(p, s->place.topic, s->place.partition);

    return lane && lane->position > s->place.offset;
}

static bool is_single(struct page *p, const struct page_poison *s)
{
    (void)p;
    return s->deaths < DEATHS_POISON;
}

/* The oldest of those of which that can be said; NULL: there is none. */
static struct page_poison *
find_oldest(struct page *p,
            bool (*is_one)(struct page *, const struct page_poison *))
{
    for (uint32_t i = 0; i < PAGE_POISON; i++) {
        struct page_poison *s = &p->poison[(p->n_poison + i) % PAGE_POISON];

        if (is_one(p, s)) {
            return s;
        }
    }
    return NULL;
}

/* Where the next one goes. */
static struct page_poison *place_for(struct page *p)
{
    struct page_poison *s = NULL;

    if (p->n_poison >= PAGE_POISON) {
        s = find_oldest(p, is_passed);
        s = s ? s : find_oldest(p, is_single);
    }
    return s ? s : &p->poison[p->n_poison % PAGE_POISON];
}

uint32_t poison_table_add(struct page *p, const struct page_place *at,
                          const char *how)
{
    struct page_poison *s = find(p, at);
    uint32_t deaths = s ? s->deaths : 0;

    if (!s) {
        s = place_for(p);
        __atomic_store_n(&p->n_poison, p->n_poison + 1, __ATOMIC_RELEASE);
    }
    /* No reader takes an entry while it changes. */
    __atomic_store_n(&s->deaths, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    s->place = *at;
    snprintf(s->how, sizeof(s->how), "%s", how);
    __atomic_store_n(&s->deaths, ++deaths, __ATOMIC_RELEASE);
    return deaths;
}

bool poison_table_get(const struct page *p, uint32_t i, struct page_poison *out)
{
    const struct page_poison *s = &p->poison[i];

    if (__atomic_load_n(&s->deaths, __ATOMIC_ACQUIRE) < DEATHS_POISON) {
        return false;
    }
    *out = *s;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&s->deaths, __ATOMIC_RELAXED) >= DEATHS_POISON;
}

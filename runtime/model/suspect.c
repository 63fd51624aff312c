/* See suspect.h. */
#include "model/suspect.h"

#include <stdio.h>
#include <string.h>

enum { DEATHS_CONDEMN = 2 };

static bool is_same(const struct page_place *a, const struct page_place *b)
{
    return a->partition == b->partition && a->offset == b->offset &&
           strncmp(a->topic, b->topic, sizeof(a->topic)) == 0;
}

static struct page_suspect *find(struct page *p, const struct page_place *at)
{
    for (uint32_t i = 0; i < PAGE_SUSPECTS; i++) {
        if (p->suspects[i].deaths && is_same(&p->suspects[i].place, at)) {
            return &p->suspects[i];
        }
    }
    return NULL;
}

uint32_t suspect_count(const struct page *p)
{
    uint32_t n = __atomic_load_n(&p->n_suspects, __ATOMIC_ACQUIRE);

    return n < PAGE_SUSPECTS ? n : PAGE_SUSPECTS;
}

static bool is_passed(struct page *p, const struct page_suspect *s)
{
    const struct page_lane *lane =
        page_lane(p, s->place.topic, s->place.partition);

    return lane && lane->position > s->place.offset;
}

static bool is_single(struct page *p, const struct page_suspect *s)
{
    (void)p;
    return s->deaths < DEATHS_CONDEMN;
}

/* The oldest of those of which that can be said; NULL: there is none. */
static struct page_suspect *
find_oldest(struct page *p,
            bool (*is_one)(struct page *, const struct page_suspect *))
{
    for (uint32_t i = 0; i < PAGE_SUSPECTS; i++) {
        struct page_suspect *s =
            &p->suspects[(p->n_suspects + i) % PAGE_SUSPECTS];

        if (is_one(p, s)) {
            return s;
        }
    }
    return NULL;
}

/* Where the next one goes. */
static struct page_suspect *place_for(struct page *p)
{
    struct page_suspect *s = NULL;

    if (p->n_suspects >= PAGE_SUSPECTS) {
        s = find_oldest(p, is_passed);
        s = s ? s : find_oldest(p, is_single);
    }
    return s ? s : &p->suspects[p->n_suspects % PAGE_SUSPECTS];
}

uint32_t suspect_add(struct page *p, const struct page_place *at,
                     const char *how)
{
    struct page_suspect *s = find(p, at);
    uint32_t deaths = s ? s->deaths : 0;

    if (!s) {
        s = place_for(p);
        __atomic_store_n(&p->n_suspects, p->n_suspects + 1, __ATOMIC_RELEASE);
    }
    /* No reader takes an entry while it changes. */
    __atomic_store_n(&s->deaths, 0, __ATOMIC_SEQ_CST);
    s->place = *at;
    snprintf(s->how, sizeof(s->how), "%s", how);
    __atomic_store_n(&s->deaths, ++deaths, __ATOMIC_SEQ_CST);
    return deaths;
}

bool suspect_condemned(const struct page *p, uint32_t i,
                       struct page_suspect *out)
{
    const struct page_suspect *s = &p->suspects[i];

    if (__atomic_load_n(&s->deaths, __ATOMIC_SEQ_CST) < DEATHS_CONDEMN) {
        return false;
    }
    *out = *s;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&s->deaths, __ATOMIC_SEQ_CST) >= DEATHS_CONDEMN;
}

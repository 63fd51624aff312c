#pragma once
/*
 * A doubly linked list whose links live in the objects. A state is the list an
 * object is in; `n` makes "how many are there" a field read.
 */
#include <stddef.h>
#include <stdint.h>

struct list_link {
    struct list_link *prev;
    struct list_link *next;
};

struct list {
    struct list_link head; /* points at itself when empty */
    uint32_t n;
};

/* The object that holds a link. */
#define list_item(link, type, member)                                          \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
    l->n = 0;
}
static inline void list_append(struct list *l, struct list_link *x)
{
    x->prev = l->head.prev;
    x->next = &l->head;
    l->head.prev->next = x;
    l->head.prev = x;
    l->n++;
}
static inline void list_remove(struct list *l, struct list_link *x)
{
    x->prev->next = x->next;
    x->next->prev = x->prev;
    x->prev = x->next = NULL;
    l->n--;
}
static inline struct list_link *list_first(const struct list *l)
{
    return l->n ? l->head.next : NULL;
}

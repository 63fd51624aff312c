/* See batches.h. */
#include "flow/batch/batches.h"

static struct list *list_of(struct batches *s, enum batch_state state)
{
    switch (state) {
    case BATCH_FREE:
        return &s->free;
    case BATCH_DECODING:
        return &s->decoding;
    case BATCH_READY:
        return &s->ready;
    case BATCH_RESOLVING:
        return &s->resolving;
    case BATCH_WAITING:
        return &s->waiting;
    default:
        return &s->busy;
    }
}

void batches_open(struct batches *s, uint32_t n)
{
    struct list *lists[] = {&s->free, &s->decoding,  &s->ready,
                            &s->busy, &s->resolving, &s->waiting};

    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        list_init(lists[i]);
    }
    s->n = n;
    for (uint32_t i = 0; i < n; i++) {
        s->all[i].state = BATCH_FREE;
        list_append(&s->free, &s->all[i].link);
    }
}

bool batches_move(struct batches *s, struct batch *b, enum batch_state to)
{
    struct list *list = list_of(s, to);

    list_remove(list_of(s, b->state), &b->link);
    b->state = to;
    list_append(list, &b->link);
    return list == &s->busy;
}

struct batch *batches_first(const struct list *l)
{
    return l->n ? list_item(list_first(l), struct batch, link) : NULL;
}

struct batch *batches_due(const struct list *l, usec now)
{
    struct list_link *link = list_first(l);

    for (uint32_t n = l->n; n > 0; n--, link = link->next) {
        struct batch *b = list_item(link, struct batch, link);

        if (now >= b->tries.retry_at) {
            return b;
        }
    }
    return NULL;
}

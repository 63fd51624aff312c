/* See generation.h. */
#include "flow/generation/generation.h"

#include <stdlib.h>
#include <string.h>

static void close_tables(struct compared *t)
{
    facts_close(&t->facts);
    shape_close(&t->shape);
    free(t->causes);
    free(t->own);
}

static void close(struct generation *g)
{
    programs_free(g->programs, g->n_programs);
    decoder_free(g->decoder);
    close_tables(&g->tables);
    arena_close(&g->arena);
    if (g->vm) {
        vm_free(g->vm);
        plan_free(g->plan);
    }
    free(g);
}

struct generation *generation_new(const struct bundle *bundle, struct vm *v,
                                  const struct plan *p, record_header_fn header)
{
    static uint32_t last_number;
    struct generation *g = mem_zero(1, sizeof(*g));

    g->number = ++last_number;
    g->n_holders = 1;
    g->bundle = bundle;
    g->vm = v;
    g->plan = p;
    g->decoder = decoder_new(&p->source, header);
    arena_init(&g->arena, 0);
    facts_open(&g->tables.facts, p);
    return g;
}

bool generation_prepare(struct generation *g, struct err *e)
{
    bool ok = programs_new(&g->arena, g->plan, &g->tables.facts, g->decoder,
                           &g->programs, e);

    g->n_programs = ok ? g->plan->n_projections : 0;
    return ok;
}

bool generation_is_like(const struct generation *a, const struct generation *b)
{
    return a == b || strcmp(a->plan->contract, b->plan->contract) == 0;
}

void generation_hold(struct generation *g)
{
    g->n_holders++;
}

void generation_drop(struct generation *g)
{
    if (--g->n_holders == 0) {
        close(g);
    }
}

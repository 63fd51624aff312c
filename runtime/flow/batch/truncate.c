/* See truncate.h. */
#include "flow/batch/truncate.h"

#include <string.h>

#include "flow/batch/failures.h"

/* The first truncate of the lane, or its end. */
static uint32_t find(const struct batch *b, const struct lease *l)
{
    uint32_t e = l->first;

    while (e < l->first + l->n && !batch_is_truncate(b, e)) {
        e++;
    }
    return e;
}

static void cut(struct batch *b, struct lease *l)
{
    uint32_t end = l->first + l->n, at = find(b, l);

    l->cut = -1;
    at += at == l->first; /* alone */
    if (at >= end) {
        return;
    }
    l->cut = (int32_t)at;
    for (uint32_t e = at; e < end; e++) {
        if (b->input.events.states[e] != TM_EVENT_SKIPPED) {
            b->input.events.states[e] = TM_EVENT_CUT;
        }
    }
}

void truncate_cut(struct batch *b)
{
    for (uint32_t i = 0; !b->input.stays && i < b->input.n_leases; i++) {
        cut(b, &b->input.leases[i]);
    }
}

/* The projection that is emptied for the topic; NULL: none. */
static const struct plan_projection *emptied(const struct batch *b,
                                             const char *topic)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const struct program *g = b->rows[i].program;

        if (g->plan->empties && plan_reads(g->plan, topic)) {
            return g->plan;
        }
    }
    return NULL;
}

static void halt(struct batch *b, uint32_t event, const char *why)
{
    failures_add(b, event, ERR_CONFIG, why, strlen(why), LETTER_BEFORE);
}

void truncate_check(struct batch *b, const struct lease *l,
                    uint32_t n_partitions)
{
    const struct plan_projection *p =
        emptied(b, b->input.records[l->first].topic);

    if (p && n_partitions > 1) {
        halt(b, l->first,
             arena_printf(&b->memory.arena,
                          "%s: the source table was truncated, but its topic "
                          "has %u partitions, and nobody knows which "
                          "of their records came before: make the rows right "
                          "by hand, then skip this record (tidemill lane "
                          "skip); or give the topic one partition",
                          p->table, n_partitions));
    } else if (p && l->lane->letters.n > 0) {
        halt(b, l->first,
             arena_printf(&b->memory.arena,
                          "%s: the source table was truncated, but %u earlier "
                          "records wait as dead letters, and would bring rows "
                          "back: retry or discard them (tidemill dlq), then "
                          "resume the lane (tidemill lane resume)",
                          p->table, l->lane->letters.n));
    }
}

/* See taken.h. */
#include "inspect/taken.h"

#include <string.h>

#include "decode/envelope/decoder.h"
#include "flow/batch/batch.h"

static void feed(struct tm_trial *t, const struct record *r,
                 record_header_at_fn header_at)
{
    struct record_header h;

    tm_trial_reset(t);
    tm_trial_event(t, r->topic, r->partition, r->offset, r->time_ms, r->key,
                   r->key ? (int)r->key_len : -1, r->value,
                   r->value ? (int)r->value_len : -1);
    for (uint32_t i = 0; header_at(r->message, i, &h); i++) {
        tm_trial_header(t, h.name, h.value, h.value ? (int)h.len : -1);
    }
}

/* Its keys, and the row of a mirror. */
static bool enters(struct tm_trial *t, const struct plan_projection *p,
                   uint32_t index)
{
    struct tm_rows *rows = tm_trial_rows(t, index);

    return rows && (p->kind != KIND_MIRROR || tm_trial_mirror(t, rows) == 0);
}

struct taken taken_by(struct tm_trial *t, const struct plan *p,
                      const struct record *r, record_header_at_fn header_at,
                      struct arena *a)
{
    feed(t, r, header_at);
    struct tm_batch *b = tm_trial_decode(t);
    const struct batch *batch = list_item(b, struct batch, input.view);
    struct taken out = {.state = b->states[0],
                        .op = b->ops[0],
                        .is_flat =
                            (batch->input.events.flags[0] & EVENT_FLAT) != 0};
    const char *why = out.state == TM_EVENT_FAILED ? b->reasons[0] : NULL;

    for (uint32_t i = 0; out.state == TM_EVENT_OK && i < p->n_projections;
         i++) {
        const struct plan_projection *q = &p->projections[i];

        if (!why && plan_reads(q, r->topic) && !q->keys_in_lua &&
            !enters(t, q, i)) {
            why = b->error;
        }
    }
    out.reason = why ? arena_dup(a, why, strlen(why)) : NULL;
    return out;
}

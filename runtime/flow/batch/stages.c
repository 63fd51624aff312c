/* See stages.h; for trials and folds fold.c. */
#include "flow/batch/stages.h"

#include <string.h>

#include "flow/batch/blame.h"
#include "flow/batch/failures.h"
#include "flow/batch/truncate.h"
#include "flow/rows/keys.h"
#include "flow/rows/record_key.h"

/* C chooses the events; a record without a key fails and the others go on. */
static void collect_keys(struct rows *r, struct batch *b)
{
    uint32_t event = 0;
    struct err e;

    keys_begin(r, &b->memory.arena, &b->memory.loaded, &b->input.events);
    while (!keys_collect(r, b->generation->decoder, &event, &e)) {
        failures_add(b, event++, e.class, e.text, strlen(e.text),
                     LETTER_BEFORE);
    }
    record_key_tell(r->program);
}

/* Nobody is left to blame but events that are held: should they be applied after
 * all, they would have no rows. */
static void refuse_chosen(struct rows *r, struct batch *b, const struct err *e)
{
    for (uint32_t i = 0; i < r->n_chosen; i++) {
        failures_add(b, r->chosen[i], e->class, e->text, strlen(e->text),
                     LETTER_BEFORE);
    }
}

static void keys_of(struct rows *r, struct batch *b)
{
    struct vm *v = b->generation->vm;
    struct err e;

    collect_keys(r, b);
    while (r->n_chosen) {
        bool ok = vm_keys(v, &b->input.view, &r->view, &e);

        batch_called(b, b->input.events.n);
        if (batch_is_over(b)) {
            break;
        }
        if (!batch_take_unread(b)) {
            if (ok) {
                break;
            }
            batch_classify(b, &e);
            if (!batch_blame(b, &e, LETTER_BEFORE)) {
                refuse_chosen(r, b, &e);
                break;
            }
            failures_set_states(
                b); /* lanes that halt now are not asked again */
        }
        collect_keys(r, b);
    }
    rows_ready(r);
}

void batch_keys(struct batch *b)
{
    b->input.view.generation++;
    arena_reset(&b->memory.scratch);
    b->memory.base = 0;
    batch_limit(b);
    b->scripts.projection = LETTER_BEFORE;
    b->scripts.stamps_before = b->failures.n_stamps;
    truncate_cut(b);
    failures_find_unread(b);
    failures_set_states(b);
    for (uint32_t i = 0; i < b->n_rows && !batch_is_over(b); i++) {
        keys_of(&b->rows[i], b);
    }
    if (batch_is_over(b)) {
        return;
    }
    b->memory.base = 0;
    b->input.view.current = -1;
    failures_keep(b);
    failures_set_states(b);
}

/* See table_set_run.h. */
#include "flow/batch/table_set_run.h"

#include "flow/batch/blame.h"
#include "flow/batch/failures.h"
#include "flow/rows/demand.h"

/* Events that may fail in a batch of more than a few events, before it is taken
 * apart. Each one costs a run: with one bad record in a hundred, and 100 ns an
 * event, 32 runs over a third of a batch of the default size are 10 ms. */
enum { FAILED_MOST = 32, EVENTS_FEW = 64 };

/* Raised outside of any event. A record that is alone is to blame; else the
 * batch is refused, as by the database. */
static void refuse(struct table_set *s, struct batch *b, const struct err *e)
{
    if (s->view.n_events == 1) {
        b->input.view.current = (int32_t)s->view.events[0];
        batch_blame(b, e, b->scripts.projection);
    } else {
        b->failures.refusal = *e;
    }
}

static void fail(struct table_set *s, struct batch *b, const struct err *e)
{
    b->scripts.must_rerun = true;
    if (b->input.view.current < 0) {
        refuse(s, b, e);
    } else {
        batch_blame(b, e, b->scripts.projection);
    }
}

/* One at a time: the next run may not come to a second one. */
static void check_rows(struct table_set *s, struct batch *b)
{
    struct err e;

    for (uint32_t i = 0; i < s->view.n_tables; i++) {
        uint32_t row = 0;

        if (!demand_check(&s->rows[i], &row, &e)) {
            fail(s, b, &e);
            return;
        }
    }
}

static void call(struct table_set *s, struct batch *b)
{
    struct vm *v = b->generation->vm;
    struct err e;

    b->scripts.must_rerun = false;
    table_set_begin(s);
    if (s->view.n_events == 0) {
        return;
    }
    b->input.view.generation++;
    bool ok = vm_fold(v, &b->input.view, &s->rows->view, &e);
    batch_called(b, s->view.n_events);
    if (batch_is_over(b)) {
        return; /* whatever became of the call */
    }
    if (batch_take_unread(b)) {
        return; /* whatever became of the call: a script may catch errors */
    }
    if (!ok) {
        batch_classify(b, &e);
        fail(s, b, &e);
    } else if (s->view.n_unknown) {
        s->rows->program->tries = true;
        b->scripts.is_short = true;
    } else if (!b->scripts.must_rerun) {
        check_rows(s, b);
    }
}

/* Each failure costs a run over the batch, so that many of them are for
 * smaller batches. For a person: the last one. */
static void refuse_failures(struct batch *b)
{
    const struct letter *last = &b->failures.letters[b->failures.last_failed];

    err_set(&b->failures.refusal, ERR_SCRIPT, "%s", last->reason);
}

/* What the function did for an event that fails cannot be told from the rest,
 * so it is called again without it. */
void table_set_run(struct table_set *s, struct batch *b)
{
    uint32_t before, n_failed = 0;

    do {
        before = b->failures.n_stamps;
        call(s, b);
        if (b->scripts.must_rerun && b->failures.refusal.class == ERR_NONE) {
            failures_set_states(b); /* lanes that halt now are not run again */
            if (++n_failed >= FAILED_MOST && s->view.n_events > EVENTS_FEW) {
                refuse_failures(b);
            }
        }
    } while (b->scripts.must_rerun && b->failures.n_stamps != before &&
             b->failures.refusal.class == ERR_NONE);
}

/* What it raises is judged once its rows are loaded; what ends a run ends this
 * one too. True: records were found that cannot be read, where it ended. */
static bool try_once(struct table_set *s, struct batch *b)
{
    struct vm *v = b->generation->vm;
    struct err ignored;

    table_set_begin(s);
    if (s->view.n_events == 0) {
        return false;
    }
    b->input.view.generation++;
    err_ignore(vm_fold(v, &b->input.view, &s->rows->view, &ignored));
    batch_called(b, s->view.n_events);
    return !batch_is_over(b) && batch_take_unread(b);
}

void table_set_try(struct table_set *s, struct batch *b)
{
    uint32_t before;

    b->scripts.projection = (int32_t)s->rows->program->index;
    s->view.is_trial = 1;
    do {
        before = b->failures.n_stamps;
        if (try_once(s, b)) {
            failures_set_states(b); /* halted lanes are not tried */
        }
    } while (b->failures.n_stamps != before && !batch_is_over(b));
    s->view.is_trial = 0;
    b->input.view.current = -1;
}

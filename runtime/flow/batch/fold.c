/* Runs the handlers of a batch until its rows come to rest. See stages.h. */
#include <string.h>

#include "flow/batch/blame.h"
#include "flow/batch/failures.h"
#include "flow/batch/stages.h"
#include "flow/batch/table_set_run.h"
#include "flow/rows/demand.h"
#include "flow/rows/mirror.h"

/* Runs over the same records before they are taken apart instead. Two are
 * enough for failures of handlers; rows that before_write refuses lose one
 * event each time. */
enum { FOLD_RUNS_MOST = 16 };

/* A run ends early when so much failed that its lanes halt anyway. */
enum { ENOUGH_FAILED = 256 };

int tm_fail(struct tm_batch *view, int32_t event, const char *reason,
            size_t len, int again)
{
    struct batch *b = list_item(view, struct batch, input.view);
    uint32_t before = b->failures.n_stamps;

    failures_add(b, (uint32_t)event, batch_class(b, reason), reason, len,
                 b->scripts.projection);
    bool is_enough = b->failures.n_stamps - b->scripts.stamps_before >
                         ENOUGH_FAILED + b->input.events.n / 8 ||
                     batch_is_over(b);

    b->scripts.must_rerun |=
        again != 0 || is_enough || b->failures.n_stamps == before;
    return is_enough;
}

/* Columns are copied as a whole, so a record that fails changed nothing. */
static void run_mirror(struct batch *b, struct rows *r)
{
    uint32_t pair = 0;
    struct err e;

    while (!mirror_apply(r, &pair, &e)) {
        failures_add(b, r->view.pair_event[pair++], e.class, e.text,
                     strlen(e.text), b->scripts.projection);
    }
}

/* Memory may run out by what all records left behind: only one that is alone is
 * to blame for it. */
static void run_handlers(struct batch *b, struct rows *r)
{
    struct vm *v = b->generation->vm;
    struct err e;

    bool ok = vm_fold(v, &b->input.view, &r->view, &e);

    batch_called(b, b->input.events.n);
    if (!batch_is_over(b) && !batch_take_unread(b) && !ok) {
        b->scripts.must_rerun = true;
        batch_classify(b, &e);
        batch_blame(b, &e, b->scripts.projection);
    }
}

/* Rows that the table would refuse: the last event of each one failed. */
static void check_rows(struct batch *b, struct rows *r)
{
    uint32_t row = r->first_row;
    struct err e;

    while (!demand_check(r, &row, &e) &&
           b->failures.n_stamps - b->scripts.stamps_before <= ENOUGH_FAILED) {
        batch_blame(b, &e, b->scripts.projection);
        b->scripts.must_rerun = true;
        row++;
    }
}

static void run_rows(struct batch *b, struct rows *r)
{
    rows_restart(r);
    if (r->view.n_pairs > 0) {
        if (r->program->plan->has_handler) {
            run_handlers(b, r);
        } else {
            run_mirror(b, r);
        }
        if (!batch_is_over(b)) {
            check_rows(b, r);
        }
    }
}

/* A record alone, of which no smaller batch can be made. A handler may have
 * passed over what a call said; what C copies of it has no limit. */
static void blame_alone(struct batch *b, const struct plan_projection *p)
{
    struct err e;

    if (p->has_handler && b->input.events.states[0] == TM_EVENT_OK) {
        err_set(&e, ERR_SCRIPT, "%s: %s", p->table, rows_made_too_much);
        failures_add(b, 0, e.class, e.text, strlen(e.text),
                     b->scripts.projection);
        b->scripts.must_rerun = true;
    }
    b->memory.limit.is_over = false;
}

static void run_projection(struct batch *b, uint32_t index)
{
    struct rows *r = &b->rows[index];

    b->scripts.projection = (int32_t)index;
    b->scripts.stamps_before = b->failures.n_stamps;
    b->scripts.must_rerun = false;
    if (table_set_leads(r)) {
        table_set_run(r->table_set, b);
    } else if (!r->table_set) {
        run_rows(b, r);
    }
    if (b->memory.limit.is_over && !batch_is_over(b)) {
        blame_alone(b, r->program->plan);
        b->scripts.is_short =
            false; /* or it would ask for more and more of them */
    }
    r->stamp_at =
        b->scripts.must_rerun ? b->scripts.stamps_before : b->failures.n_stamps;
    r->is_stale = b->scripts.must_rerun;
}

bool batch_try(struct batch *b)
{
    batch_limit(b);
    for (uint32_t i = 0; i < b->n_table_sets && !batch_is_over(b); i++) {
        if (b->table_sets[i].rows->program->tries) {
            table_set_try(&b->table_sets[i], b);
        }
    }
    b->scripts.is_tried = true;
    return !batch_is_over(b);
}

/* After a run: rows that were made with events that are not applied must be
 * made again, and what their projection refused behind such an event must be
 * judged again. True: all rows are as they should be. */
static bool came_to_rest(struct batch *b)
{
    bool is_open = false, is_rest = true;

    failures_set_states(b);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        struct rows *r = &b->rows[i];

        if (r->table_set && !table_set_leads(r)) {
            continue;
        }
        if (failures_outdate(b, r)) {
            r->is_stale = true;
            is_open |= failures_reopen(b, r);
        }
        is_rest &= !r->is_stale;
    }
    if (is_open) {
        failures_set_states(b);
    }
    return is_rest;
}

/* For a person: the last thing that was wrong. */
static bool restless(const struct batch *b, struct err *e)
{
    const struct letter *last =
        b->failures.letters ? &b->failures.letters[b->failures.last_failed]
                            : NULL;

    if (!last || last->class == ERR_NONE) {
        return err_set(e, ERR_SCRIPT, "the handlers give other rows each time");
    }
    return err_set(e, last->class, "%s", last->reason);
}

/* False: a decision changed which events are applied. */
static bool are_decided(struct batch *b)
{
    for (uint32_t e = 0; b->failures.letters && b->ask && e < b->input.events.n;
         e++) {
        if (b->input.events.states[e] == TM_EVENT_FAILED &&
            !b->failures.letters[e].is_decided) {
            b->ask(b, e);
        }
    }
    return came_to_rest(b);
}

bool batch_fold(struct batch *b, struct err *e)
{
    b->failures.must_wait = b->scripts.is_short = false;
    b->failures.unreadable = NULL;
    b->failures.refusal.class = ERR_NONE;
    failures_reset(b);
    failures_find_unheld(b);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        b->rows[i].is_stale = true;
        arena_reset(&b->rows[i].values);
    }
    batch_limit(b);
    for (int run = 0; run < FOLD_RUNS_MOST; run++) {
        b->input.view.generation++;
        arena_reset(&b->memory.scratch);
        for (uint32_t i = 0; i < b->n_rows && !batch_is_over(b); i++) {
            if (b->rows[i].is_stale) {
                run_projection(b, i);
            }
        }
        if (batch_is_over(b)) {
            return false;
        }
        if (b->failures.refusal.class != ERR_NONE) {
            *e = b->failures.refusal;
            return false;
        }
        if (b->scripts.is_short) {
            return true;
        }
        if (came_to_rest(b) && are_decided(b)) {
            b->input.view.current = -1;
            b->scripts.is_heavy = b->memory.limit.taken >
                                  b->memory.limit.most - batch_most(b) / 2;
            return failures_are_complete(b, e);
        }
    }
    return restless(b, e);
}

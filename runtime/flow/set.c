/* See set.h, and "batch functions" in model/api.h. */
#include "flow/set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/batch.h"
#include "flow/demand.h"
#include "flow/verdict.h"

/* Events that may fail in a batch of more than a few events, before it is taken
 * apart. Each one costs a run: with one bad record in a hundred, and 100 ns an
 * event, 32 runs over a third of a batch of the default size are 10 ms. */
enum { FAILED_MOST = 32, EVENTS_FEW = 64 };

struct set *sets_new(struct rows *rows, uint32_t n_rows, uint32_t *n_sets)
{
    struct set *sets = mem_zero(n_rows + 1, sizeof(*sets));

    *n_sets = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        uint32_t n = rows[i].program->plan->n_set;
        struct set *s = &sets[*n_sets];

        if (n == 0) {
            continue;
        }
        s->rows = &rows[i];
        s->view.n_tables = n;
        s->view.tables = mem_zero(n, sizeof(*s->view.tables));
        for (uint32_t k = 0; k < n; k++) {
            rows[i + k].set = s;
            s->view.tables[k] = &rows[i + k].view;
        }
        (*n_sets)++;
    }
    return sets;
}

void sets_free(struct set *sets, uint32_t n_sets)
{
    for (uint32_t i = 0; i < n_sets; i++) {
        free(sets[i].view.tables);
    }
    free(sets);
}

bool set_leads(const struct rows *r)
{
    return r->set && r->set->rows == r;
}

void set_reset(struct set *s, struct arena *a, uint32_t n_events)
{
    s->events = arena_alloc(a, (n_events + 1) * sizeof(*s->events));
    s->good = NULL;
    s->n_events = 0;
}

void set_add(struct set *s, uint32_t event)
{
    s->events[s->n_events++] = event;
}

static uint32_t count_good(const struct rows *r, const uint32_t *events,
                           uint32_t n)
{
    uint32_t n_good = 0;

    for (uint32_t i = 0; i < n; i++) {
        n_good += r->events->states[events[i]] == TM_EVENT_OK;
    }
    return n_good;
}

static void show_events(struct set *s)
{
    const uint8_t *states = s->rows->events->states;
    uint32_t n = 0;

    s->view.events = s->events;
    s->view.n_events = count_good(s->rows, s->events, s->n_events);
    if (s->view.n_events == s->n_events) {
        return;
    }
    if (!s->good) {
        s->good = arena_alloc(s->rows->arena, s->n_events * sizeof(*s->good));
    }
    for (uint32_t i = 0; i < s->n_events; i++) {
        if (states[s->events[i]] == TM_EVENT_OK) {
            s->good[n++] = s->events[i];
        }
    }
    s->view.events = s->good;
}

/* Loops in Lua see only pairs of events that are applied, so that they need not
 * look at each one's state. */
static void show_pairs(struct rows *r)
{
    const uint8_t *states = r->events->states;
    uint32_t n = 0;

    r->has_groups = false;
    r->view.pair_event = r->pair_event;
    r->view.pair_row = r->pair_row;
    r->view.n_pairs = count_good(r, r->pair_event, r->n_pairs);
    if (r->view.n_pairs == r->n_pairs) {
        return;
    }
    if (!r->good_event) {
        r->good_event = arena_alloc(r->arena, r->n_pairs * sizeof(uint32_t));
        r->good_row = arena_alloc(r->arena, r->n_pairs * sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < r->n_pairs; i++) {
        if (states[r->pair_event[i]] == TM_EVENT_OK) {
            r->good_event[n] = r->pair_event[i];
            r->good_row[n++] = r->pair_row[i];
        }
    }
    r->view.pair_event = r->good_event;
    r->view.pair_row = r->good_row;
}

void set_begin(struct set *s)
{
    show_events(s);
    for (uint32_t i = 0; i < s->view.n_tables; i++) {
        rows_restart(&s->rows[i]);
        show_pairs(&s->rows[i]);
    }
    s->view.n_unknown = s->view.n_named = 0;
}

/* ---- calls ---- */

/* Raised outside of any event. A record that is alone is to blame; else the
 * batch is refused, as by the database. */
static void refuse(struct set *s, struct batch *b, const struct err *e)
{
    if (s->view.n_events == 1) {
        b->view.current = (int32_t)s->view.events[0];
        batch_blame(b, e, b->running);
    } else {
        b->refusal = *e;
    }
}

static void fail(struct set *s, struct batch *b, const struct err *e)
{
    b->must_rerun = true;
    if (b->view.current < 0) {
        refuse(s, b, e);
    } else {
        batch_blame(b, e, b->running);
    }
}

/* One at a time: the next run may not come to a second one. */
static void check_rows(struct set *s, struct batch *b)
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

static void call(struct set *s, struct batch *b, struct vm *v)
{
    struct err e;

    b->must_rerun = false;
    set_begin(s);
    if (s->view.n_events == 0) {
        return;
    }
    b->view.generation++;
    bool ok = vm_fold(v, &b->view, &s->rows->view, &e);
    b->limit.is_over |= s->view.n_events > 1 && vm_ran_out(v);
    if (batch_is_over(b)) {
        return; /* whatever became of the call */
    }
    if (batch_take_unread(b)) {
        return; /* whatever became of the call: a script may catch errors */
    }
    if (!ok) {
        batch_judge(b, &e);
        fail(s, b, &e);
    } else if (s->view.n_unknown) {
        s->rows->program->tries = true;
        b->is_short = true;
    } else if (!b->must_rerun) {
        check_rows(s, b);
    }
}

/* Each failure costs a run over the batch, so that many of them are for
 * smaller batches. For a person: the last one. */
static void refuse_failures(struct batch *b)
{
    const struct letter *last = &b->letters[b->last_failed];

    err_set(&b->refusal, ERR_SCRIPT, "%s", last->reason);
}

/* What the function did for an event that fails cannot be told from the rest,
 * so it is called again without it. */
void set_run(struct set *s, struct batch *b, struct vm *v)
{
    uint32_t before, n_failed = 0;

    do {
        before = b->n_stamps;
        call(s, b, v);
        if (b->must_rerun && b->refusal.class == ERR_NONE) {
            verdict_settle(b); /* lanes that halt now are not run again */
            if (++n_failed >= FAILED_MOST && s->view.n_events > EVENTS_FEW) {
                refuse_failures(b);
            }
        }
    } while (b->must_rerun && b->n_stamps != before &&
             b->refusal.class == ERR_NONE);
}

/* What it raises is judged once its rows are loaded; what ends a run ends this
 * one too. True: records were found that cannot be read, where it ended. */
static bool try_once(struct set *s, struct batch *b, struct vm *v)
{
    struct err ignored;

    set_begin(s);
    if (s->view.n_events == 0) {
        return false;
    }
    b->view.generation++;
    vm_fold(v, &b->view, &s->rows->view, &ignored);
    b->limit.is_over |= s->view.n_events > 1 && vm_ran_out(v);
    return !batch_is_over(b) && batch_take_unread(b);
}

void set_try(struct set *s, struct batch *b, struct vm *v)
{
    uint32_t before;

    b->running = (int32_t)s->rows->program->index;
    s->view.is_trial = 1;
    do {
        before = b->n_stamps;
        if (try_once(s, b, v)) {
            verdict_settle(b); /* lanes that halt now are not tried again */
        }
    } while (b->n_stamps != before && !batch_is_over(b));
    s->view.is_trial = 0;
    b->view.current = -1;
}

/* ---- what the function calls ---- */

struct tm_set *tm_set_of(struct tm_rows *view)
{
    return &((struct rows *)view)->set->view;
}

static int say(struct tm_batch *b, const struct err *e)
{
    snprintf(b->error, sizeof(b->error), "%.500s", e->text);
    b->error_class = (int32_t)e->class;
    return -1;
}

/* An aligned row is its lane's: another batch may hold it, and whether it is in
 * this one is chance. */
static bool may_reach(const struct rows *r, int64_t row, int32_t event,
                      struct err *e)
{
    if (r->program->plan->exact != EXACT_ALIGNED ||
        (row >= 0 && event >= 0 &&
         rows_entered(r, (uint32_t)row, (uint32_t)event))) {
        return true;
    }
    return err_set(e, ERR_SCRIPT,
                   "a row of '%s' belongs to the records of its key, and this "
                   "event is none of them: write shared = true beside its key "
                   "to reach any row",
                   r->program->plan->table);
}

/* Naming one beforehand is no harm: nothing is done to it. */
static bool is_held(const struct rows *r, int64_t row, struct err *e)
{
    const char *why = row < 0 ? NULL : rows_unheld(r, (uint32_t)row);

    return !why || err_set(e, ERR_DATA, "%s", why);
}

int tm_row_of(struct tm_batch *b, struct tm_rows *view,
              const struct tm_cell *key, int names)
{
    struct rows *r = (struct rows *)view;
    struct tm_set *s = &r->set->view;
    int64_t row;
    struct err e;

    if (rows_are_over(r)) {
        err_set(&e, ERR_SCRIPT, "%s", rows_made_too_much);
        return say(b, &e);
    }
    row = rows_ask(r, key, b->current, &e);
    if (row == -1 || !may_reach(r, row, b->current, &e) ||
        (!names && !is_held(r, row, &e))) {
        return say(b, &e);
    }
    if (row < r->n_known || r->program->plan->exact == EXACT_ALIGNED) {
        return (int)row;
    }
    s->n_unknown++;
    s->n_named += names != 0;
    return s->n_named && !names ? TM_ROW_LATER : (int)row;
}

/* By counting: rows are dense numbers. */
static void make_groups(struct rows *r)
{
    const struct tm_rows *v = &r->view;
    struct tm_groups *g = &r->groups;
    struct arena *a = &r->values;
    uint32_t *place = arena_zero(a, (v->n_rows + 1) * sizeof(*place));
    uint32_t at = 0;

    g->n = 0;
    g->rows = arena_alloc(a, (v->n_rows + 1) * sizeof(*g->rows));
    g->first = arena_alloc(a, (v->n_rows + 1) * sizeof(*g->first));
    g->events = arena_alloc(a, (v->n_pairs + 1) * sizeof(*g->events));
    for (uint32_t i = 0; i < v->n_pairs; i++) {
        place[v->pair_row[i]]++;
    }
    for (uint32_t i = 0; i < v->n_pairs; i++) {
        uint32_t row = v->pair_row[i], n = place[row] & INT32_MAX;

        if (!(place[row] >> 31)) {
            g->rows[g->n] = row;
            g->first[g->n++] = at;
            place[row] = at | 1U << 31;
            at += n;
        }
        g->events[place[row]++ & INT32_MAX] = v->pair_event[i];
    }
    g->first[g->n] = at;
}

const struct tm_groups *tm_groups(struct tm_rows *view)
{
    struct rows *r = (struct rows *)view;

    if (!r->has_groups) {
        make_groups(r);
        r->has_groups = true;
    }
    return &r->groups;
}

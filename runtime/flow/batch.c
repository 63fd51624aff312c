/* See batch.h. */
#include "flow/batch.h"

#include <stdlib.h>
#include <string.h>

#include "flow/keys.h"
#include "flow/mirror.h"
#include "flow/writer.h"

/* What a batch's arena keeps between batches: a full batch of the default
 * size needs about 6 MB; a rare giant is given back. */
enum { BATCH_KEEP_BYTES = 12 << 20 };

/* How often a run may shorten a lane that it has shortened before. */
enum { FOLD_SHORTENED_MOST = 16 };

void batch_init(struct batch *b, struct program *programs, uint32_t n)
{
    memset(b, 0, sizeof(*b));
    arena_init(&b->arena, BATCH_KEEP_BYTES);
    b->rows = mem_zero(n + 1, sizeof(*b->rows));
    b->n_rows = n;
    for (uint32_t i = 0; i < n; i++) {
        rows_init(&b->rows[i], &programs[i]);
    }
}

void batch_close(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        rows_close(&b->rows[i]);
    }
    free(b->rows);
    arena_close(&b->arena);
}

static uint32_t take_records(struct batch *b, struct lease *l, uint32_t index,
                             uint32_t at)
{
    l->first = at;
    l->failed = -1;
    for (uint32_t i = 0; i < l->n; i++) {
        struct record *rec = &b->records[at + i];

        source_record(l->lane, i, rec);
        rec->lane = index;
        b->bytes += rec->key_len + rec->value_len;
    }
    return at + l->n;
}

void batch_prepare(struct batch *b, struct decoder *d, uint32_t n)
{
    memset(&b->events, 0, sizeof(b->events));
    b->decoder = d;
    b->events.view = &b->view;
    b->events.records = b->records;
    b->events.arena = &b->arena;
    b->view.current = -1;
    events_prepare(&b->events, d, n);
    b->decoded = 0;
    b->attempts = 0;
}

void batch_begin(struct batch *b, struct decoder *d, const struct lease *leases,
                 uint32_t n_leases)
{
    uint32_t n = 0;

    arena_reset(&b->arena);
    b->leases = arena_alloc(&b->arena, n_leases * sizeof(*leases));
    memcpy(b->leases, leases, n_leases * sizeof(*leases));
    b->n_leases = n_leases;
    b->bytes = 0;
    for (uint32_t i = 0; i < n_leases; i++) {
        n += leases[i].n;
    }
    b->records = arena_alloc(&b->arena, (n + 1) * sizeof(*b->records));
    n = 0;
    for (uint32_t i = 0; i < n_leases; i++) {
        n = take_records(b, &b->leases[i], i, n);
    }
    b->header = source_header;
    batch_prepare(b, d, n);
}

static void cut_behind(struct batch *b, struct lease *l)
{
    for (uint32_t e = (uint32_t)l->failed + 1; e < l->first + l->n; e++) {
        b->events.states[e] = TM_EVENT_CUT;
    }
}

void batch_fail_event(struct batch *b, int32_t event, enum err_class class,
                      const char *reason)
{
    struct lease *l = &b->leases[b->records[event].lane];

    must(event >= 0 && (uint32_t)event < b->events.n);
    if (l->failed >= 0 && l->failed <= event) {
        return;
    }
    b->events.states[event] = TM_EVENT_FAILED;
    if (reason) {
        b->events.reasons[event] = arena_dup(&b->arena, reason, strlen(reason));
    }
    l->failed = event;
    l->failed_class = class;
    cut_behind(b, l);
}

bool batch_decode(struct batch *b, struct decoder *d, uint32_t max)
{
    uint32_t from = b->decoded, left = b->events.n - from;
    uint32_t to = from + (left < max ? left : max);

    decoder_run(d, &b->events, from, to);
    b->decoded = to;
    return to == b->events.n;
}

/* Records that the decoder refused, now or in a column fault; false: none
 * that was not known. */
static bool find_undecoded(struct batch *b)
{
    bool found = false;

    for (uint32_t e = 0; e < b->events.n; e++) {
        const struct lease *l = &b->leases[b->records[e].lane];

        if (b->events.states[e] == TM_EVENT_FAILED && l->failed != (int32_t)e) {
            batch_fail_event(b, (int32_t)e, ERR_DATA, NULL);
            found = true;
        }
    }
    return found;
}

/* A handler (or a key function) raised: its record failed. When it was a
 * column fault that met an unreadable record, that record failed instead. */
static void blame(struct batch *b, const struct err *e)
{
    int32_t at = b->view.current;

    if (find_undecoded(b)) {
        return;
    }
    /* Without a current event the first good record stands for the batch: its
     * lane says why. One good record less each time, or this would not end. */
    if (at < 0 || b->events.states[at] != TM_EVENT_OK) {
        at = batch_first_good(b);
    }
    if (at >= 0) {
        b->n_shortened += b->leases[b->records[at].lane].failed >= 0;
        batch_fail_event(b, at, e->class, e->text);
    }
}

static bool keys_of(struct rows *r, struct batch *b, struct decoder *d,
                    struct vm *v, struct err *e)
{
    rows_begin(r, &b->arena, &b->events);
    if (!keys_collect(r, d, e)) {
        return false;
    }
    if (r->n_chosen && !vm_keys(v, &b->view, &r->view, e)) {
        return false;
    }
    rows_ready(r);
    return true;
}

static bool try_keys(struct batch *b, struct decoder *d, struct vm *v)
{
    struct err e;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (!keys_of(&b->rows[i], b, d, v, &e)) {
            blame(b, &e);
            return false;
        }
    }
    return true;
}

void batch_keys(struct batch *b, struct decoder *d, struct vm *v)
{
    b->view.generation++;
    find_undecoded(b);
    /* Each failure ends the lease of one more lane, so this ends. */
    while (!try_keys(b, d, v)) {
        continue;
    }
    b->view.current = -1;
}

static bool run_projection(struct batch *b, struct rows *r, struct vm *v,
                           struct err *e)
{
    rows_restart(r);
    if (r->view.n_pairs == 0) {
        return true;
    }
    if (r->program->plan->has_handler ? !vm_fold(v, &b->view, &r->view, e)
                                      : !mirror_apply(r, e)) {
        return false;
    }
    return writer_check(r, e);
}

static bool try_fold(struct batch *b, struct vm *v, struct err *e)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (!run_projection(b, &b->rows[i], v, e)) {
            blame(b, e);
            return false;
        }
    }
    return true;
}

static void restart_rows(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        rows_restart(&b->rows[i]);
    }
}

bool batch_fold(struct batch *b, struct vm *v, struct err *e)
{
    b->n_shortened = 0;
    do {
        b->view.generation++;
        if (b->n_shortened > FOLD_SHORTENED_MOST) {
            return false;
        }
        if (batch_first_good(b) < 0) {
            /* Nothing to run; positions may still move over skipped records. */
            restart_rows(b);
            break;
        }
    } while (!try_fold(b, v, e));
    b->view.current = -1;
    return true;
}

int32_t batch_first_good(const struct batch *b)
{
    for (uint32_t e = 0; e < b->events.n; e++) {
        if (b->events.states[e] == TM_EVENT_OK) {
            return (int32_t)e;
        }
    }
    return -1;
}

uint32_t batch_n_good(const struct batch *b, const struct lease *l)
{
    (void)b;
    return l->failed < 0 ? l->n : (uint32_t)l->failed - l->first;
}

uint32_t batch_total_good(const struct batch *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n_leases; i++) {
        n += batch_n_good(b, &b->leases[i]);
    }
    return n;
}

void batch_settle(struct batch *b)
{
    for (uint32_t i = 0; i < b->n_leases; i++) {
        struct lease *l = &b->leases[i];
        uint32_t good = batch_n_good(b, l);

        l->end = good ? b->records[l->first + good - 1].offset + 1 : l->start;
    }
}

struct anchor batch_anchor(const struct batch *b, const struct lease *l)
{
    return anchor_of(&b->records[l->first + batch_n_good(b, l) - 1]);
}

bool batch_loads(const struct rows *r, enum plan_exact exact)
{
    return program_loads(r->program) && r->program->plan->exact == exact &&
           r->view.n_rows > r->first_row;
}

bool batch_has_loads(const struct batch *b, enum plan_exact exact)
{
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (batch_loads(&b->rows[i], exact)) {
            return true;
        }
    }
    return false;
}

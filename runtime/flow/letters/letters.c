/* See letters.h. */
#include "flow/letters/letters.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "flow/batch/failures.h"
#include "flow/halt/halts.h"
#include "model/deadlines.h"
#include "postgres/store/dead_letter.h"

static const usec TELL_EVERY = 1000000;
static const usec FULL_PAUSE = 60 * 1000000ULL;

void letters_open(struct letters *l, struct worker *w, struct halts *h)
{
    *l = (struct letters){.worker = w, .halts = h};
}

/* ---- after the commit ---- */

/* The cause is that of a record that failed, also when those of the batch in
 * hand only wait behind one. */
static void note(struct letters *l, const struct batch *b, uint32_t n_failed,
                 uint32_t first)
{
    const struct record *rec = &b->input.records[first];
    const struct letter *letter = &b->failures.letters[first];

    if (l->n_failed > 0 || (l->n_held > 0 && n_failed == 0)) {
        return;
    }
    snprintf(l->place, sizeof(l->place), "%s/%d/%" PRId64, rec->topic,
             rec->partition, rec->offset);
    if (n_failed > 0) {
        snprintf(l->why, sizeof(l->why), "%s", letter->reason);
    } else {
        snprintf(l->why, sizeof(l->why),
                 "it waits behind %s/%d/%" PRId64
                 ", which failed: `tidemill dlq show` says why",
                 rec->topic, rec->partition, letter->behind);
    }
}

/* A flood of failures is one line a second; each is in the table. */
static void tell(struct letters *l, const struct batch *b, uint32_t n_failed,
                 uint32_t n_held, uint32_t first)
{
    note(l, b, n_failed, first);
    l->n_failed += n_failed;
    l->n_held += n_held;
    if (worker_now(l->worker) < l->tell_at) {
        return;
    }
    log_line(LOG_WARN,
             l->n_failed ? "records failed and were set aside: tidemill dlq"
                         : "records were set aside after a failed one of "
                           "their key: tidemill dlq",
             "failed=%u held=%u first=%s error=%s", l->n_failed, l->n_held,
             l->place, log_quote(l->why));
    l->n_failed = l->n_held = 0;
    l->tell_at = worker_now(l->worker) + TELL_EVERY;
}

static void remember(struct batch *b, uint32_t event)
{
    const struct record *rec = &b->input.records[event];
    struct lane *lane = b->input.leases[rec->lane].lane;

    lane->letters.n++;
    if (b->input.events.states[event] == TM_EVENT_HELD) {
        held_keys_add(&lane->keys, rec->key, rec->key_len, 1,
                      b->failures.letters[event].behind);
    } else if (failures_hold_key(b, event)) {
        held_keys_add(&lane->keys, rec->key, rec->key_len, 1, rec->offset);
    }
}

static void count_letters(struct letters *l, struct batch *b)
{
    uint64_t *counters = l->worker->show.counts->counters;
    uint32_t n_failed = 0, n_held = 0, first = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (!failures_is_letter(b, e)) {
            continue;
        }
        if (b->input.events.states[e] == TM_EVENT_HELD) {
            first = n_failed + n_held == 0 ? e : first;
            n_held++;
        } else {
            first = n_failed == 0 ? e : first;
            n_failed++;
            l->worker->show.counts->errors[b->failures.letters[e].class]++;
        }
        remember(b, e);
    }
    counters[COUNT_DEAD_LETTERS] += n_failed;
    counters[COUNT_HELD] += n_held;
    if (n_failed + n_held > 0) {
        tell(l, b, n_failed, n_held, first);
    }
}

void letters_committed(struct letters *q, struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        l->lane->n_seen += lease_moved(l);
        if (l->guard) {
            guard_take(&l->lane->guard, l->guard);
        }
    }
    if (b->failures.letters) {
        count_letters(q, b);
    }
}

/* ---- asking ---- */

static void end_question(struct letters *q, const struct err *e)
{
    if (e) {
        log_line(LOG_WARN, "dead letters cannot be looked up; trying again",
                 "class=%s error=%s", err_class_name(e->class),
                 log_quote(e->text));
    }
    database_give(&q->worker->database, &q->conn, &q->ticket, e,
                  "dead letters");
    arena_reset(&q->arena);
    q->ask_at = worker_now(q->worker) + LOOK_EVERY_USEC;
    worker_wake(q->worker);
}

/* The lane, if it is as it was when the question was asked. */
static struct lane *same_lane(struct letters *q, uint32_t i)
{
    struct lane *l =
        lanes_find(q->worker->source, q->lanes[i].topic, q->lanes[i].partition);

    return l && l->state == LANE_WANTS_KEYS && l->epoch == q->epochs[i] ? l
                                                                        : NULL;
}

static void take_key(struct letters *q, const struct pg_result *r, int row)
{
    struct lane *l = lanes_find(q->worker->source, pg_str(r, row, 0),
                                (int32_t)pg_int(r, row, 1));
    uint32_t n = (uint32_t)pg_int(r, row, 3);
    int len = 0;
    const char *key = pg_value(r, row, 2, &len);

    if (!l) {
        return;
    }
    l->letters.n += n;
    if (key) {
        held_keys_add(&l->keys, key, (uint32_t)len, n, pg_int(r, row, 4));
    }
}

/* Lanes are asked about one by one then; one that is too much alone waits until
 * some of its letters are gone. */
static void too_many(struct letters *q, const struct err *e)
{
    struct lane *l = same_lane(q, 0);
    struct err why;

    if (q->n > 1) {
        q->is_single = true;
    } else if (l) {
        err_set(&why, ERR_RESOURCE,
                "too many keys wait behind dead letters: %s; `tidemill dlq "
                "export` and `tidemill dlq discard` make them fewer",
                e->text);
        halts_until(q->halts, l, worker_now(q->worker) + FULL_PAUSE, &why);
    }
    end_question(q, NULL);
}

static void renew(struct letters *q)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct lane *l = same_lane(q, i);

        if (l) {
            lane_renew(l);
        }
    }
}

static void on_keys(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct letters *q = arg;
    struct err e;

    (void)c;
    if (r->is_over) {
        too_many(q, &r->error);
        return;
    }
    if (!r->ok) {
        end_question(q, &r->error);
        return;
    }
    renew(q);
    for (int row = 0; row < pg_rows(r->results[0]); row++) {
        take_key(q, r->results[0], row);
        if (q->worker->lanes.held.bytes > q->worker->lanes.held.most) {
            renew(q);
            err_set(&e, ERR_RESOURCE, "they take more than %llu MiB",
                    (unsigned long long)(q->worker->lanes.held.most >> 20));
            too_many(q, &e);
            return;
        }
    }
    for (uint32_t i = 0; i < q->n; i++) {
        struct lane *l = same_lane(q, i);

        if (l) {
            lane_has_keys(l);
        }
    }
    end_question(q, NULL);
    q->ask_at = 0; /* a person may have asked while nobody owned the lane */
}

static void on_wanted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct letters *q = arg;

    (void)c;
    for (int row = 0; r->ok && row < pg_rows(r->results[0]); row++) {
        struct lane *l =
            lanes_find(q->worker->source, pg_str(r->results[0], row, 0),
                       (int32_t)pg_int(r->results[0], row, 1));

        if (l && l->state != LANE_REVOKED) {
            lane_want_retry(l, true);
        }
    }
    end_question(q, r->ok ? NULL : &r->error);
}

/* All that want it, or one of them. */
static void collect(struct letters *q)
{
    uint32_t n = q->is_single ? 1 : q->worker->lanes.in[LANE_WANTS_KEYS].n;
    struct lane *l = lanes_in(&q->worker->lanes, LANE_WANTS_KEYS);

    q->epochs = arena_alloc(&q->arena, n * sizeof(*q->epochs));
    q->lanes = arena_alloc(&q->arena, n * sizeof(*q->lanes));
    for (q->n = 0; q->n < n; q->n++, l = lanes_next(l)) {
        q->lanes[q->n] =
            (struct record){.topic = l->topic, .partition = l->partition};
        q->epochs[q->n] = l->epoch;
    }
}

/* Looked at once a second. */
static bool has_letters(struct letters *q, usec now)
{
    if (now < q->ask_at) {
        return false;
    }
    for (const struct lane *l = q->worker->lanes.first; l; l = l->after) {
        if (l->kafka->is_assigned && l->letters.n > 0) {
            return true;
        }
    }
    q->ask_at = now + LOOK_EVERY_USEC;
    return false;
}

void letters_turn(struct letters *q)
{
    bool wants_keys = q->worker->lanes.in[LANE_WANTS_KEYS].n > 0;

    if (q->conn || q->worker->is_stopping ||
        (!wants_keys && !has_letters(q, worker_now(q->worker)))) {
        return;
    }
    q->conn = wants_keys
                  ? database_take(&q->worker->database, &q->ticket)
                  : database_take_spare(&q->worker->database, &q->ticket);
    if (!q->conn) {
        return;
    }
    if (wants_keys) {
        collect(q);
        dead_letter_ask_keys(q->conn, q->worker->now->plan, q->lanes, q->n);
        pgconn_limit(q->conn, q->worker->lanes.held.most);
        pgconn_flush(q->conn, PG_ANSWER_USEC, on_keys, q);
    } else {
        dead_letter_ask_wanted(q->conn, q->worker->now->plan);
        pgconn_flush(q->conn, PG_ANSWER_USEC, on_wanted, q);
    }
}

void letters_close(struct letters *l)
{
    arena_close(&l->arena);
}

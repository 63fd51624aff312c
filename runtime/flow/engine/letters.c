/* See letters.h. */
#include "flow/engine/letters.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "flow/batch/verdict.h"
#include "flow/engine/engine.h"
#include "flow/engine/kind.h"
#include "flow/rows/headers.h"
#include "model/deadlines.h"
#include "postgres/store/dead_letter.h"

static const usec TELL_EVERY = 1000000;
static const usec FULL_PAUSE = 60 * 1000000ULL;

/* ---- writing ---- */

/* "folder/file.lua:12" at the beginning of a message, or NULL. */
static const char *place_in(const char *message, struct arena *a)
{
    const char *dot = strstr(message, ".lua:");
    const char *end = dot ? dot + 5 : NULL;

    while (end && isdigit((unsigned char)*end)) {
        end++;
    }
    return end && end > dot + 5 && *end == ':'
               ? arena_dup(a, message, (size_t)(end - message))
               : NULL;
}

/* A reason may quote the bytes of a record. */
static const char *storable(struct batch *b, const char *text)
{
    char *copy = arena_dup(&b->memory.loaded, text, strlen(text));

    utf8_clean(copy);
    return copy;
}

static struct dead_letter held(struct batch *b, const struct letter *letter)
{
    return (struct dead_letter){
        .is_held = true,
        .holds = true,
        .class = "held",
        .sqlstate = "",
        .message = arena_printf(&b->memory.loaded,
                                "waits behind the record at offset %" PRId64
                                ", which has the same key",
                                letter->behind),
    };
}

/* Files are named from the bundle's folder on: where that is on one machine
 * says nothing on another. */
static const char *in_bundle(const struct batch *b, const char *message)
{
    const char *folder = b->generation->plan->folder;
    size_t len = strlen(folder);

    return strncmp(message, folder, len) == 0 && message[len] == '/'
               ? message + len + 1
               : message;
}

static struct dead_letter failed(struct batch *b, const struct letter *letter,
                                 bool holds)
{
    const char *message = in_bundle(b, storable(b, letter->reason));

    return (struct dead_letter){
        .holds = holds,
        .class = err_class_name(letter->class),
        .sqlstate = letter->sqlstate,
        .message = message,
        .script = place_in(message, &b->memory.loaded),
    };
}

static struct dead_letter letter_for(struct batch *b, uint32_t event)
{
    const struct letter *letter = &b->failures.letters[event];
    struct dead_letter d = b->input.events.states[event] == TM_EVENT_HELD
                               ? held(b, letter)
                               : failed(b, letter, verdict_holds(b, event));

    d.record = &b->input.records[event];
    d.headers =
        headers_print(d.record->message, b->kind->header_at, &b->memory.loaded);
    return d;
}

uint64_t letters_make(struct batch *b)
{
    uint64_t bytes = 0;

    b->failures.n_put = 0;
    if (!b->failures.letters) {
        return 0;
    }
    b->failures.put = arena_alloc(&b->memory.loaded,
                                  b->input.events.n * sizeof(*b->failures.put));
    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (verdict_is_letter(b, e)) {
            struct dead_letter *d = &b->failures.put[b->failures.n_put++];

            *d = letter_for(b, e);
            bytes += dead_letter_bytes(d);
        }
    }
    return bytes;
}

/* What a retry applied, or skipped, is a letter no more. What failed again
 * stops the whole chain of its key, also where the batch holds only its
 * beginning. */
void letters_end(struct batch *b)
{
    struct record *gone =
        arena_alloc(&b->memory.loaded, b->input.events.n * sizeof(*gone));
    struct record *stay =
        arena_alloc(&b->memory.loaded, b->input.events.n * sizeof(*stay));
    uint32_t n_gone = 0, n_stay = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        uint8_t state = b->input.events.states[e];

        if (state == TM_EVENT_OK || state == TM_EVENT_SKIPPED) {
            gone[n_gone++] = b->input.records[e];
        } else if (state == TM_EVENT_FAILED && verdict_holds(b, e)) {
            stay[n_stay++] = b->input.records[e];
        }
    }
    if (n_gone > 0) {
        dead_letter_end(b->attempt.conn, b->generation->plan, gone, n_gone);
    }
    if (n_stay > 0) {
        dead_letter_rest(b->attempt.conn, b->generation->plan, stay, n_stay);
    }
}

void letters_write(struct batch *b)
{
    if (b->failures.n_put > 0) {
        dead_letter_put(b->attempt.conn, b->generation->plan, b->failures.put,
                        b->failures.n_put);
    }
}

/* ---- after the commit ---- */

/* A flood of failures is one line a second; each is in the table. */
static void tell(struct batch *b, uint32_t n_failed, uint32_t n_held,
                 uint32_t first)
{
    struct letters *l = &b->engine->letters;
    const struct record *rec = &b->input.records[first];

    l->n_failed += n_failed;
    l->n_held += n_held;
    if (worker_now(&b->engine->worker) < l->tell_at) {
        return;
    }
    log_line(LOG_WARN,
             l->n_failed ? "records failed and were set aside: tidemill dlq"
                         : "records were set aside behind a failed one of "
                           "their key: tidemill dlq",
             "failed=%u held=%u last=%s/%d/%" PRId64 " error=%s", l->n_failed,
             l->n_held, rec->topic, rec->partition, rec->offset,
             log_quote(n_failed ? b->failures.letters[first].reason : "-"));
    l->n_failed = l->n_held = 0;
    l->tell_at = worker_now(&b->engine->worker) + TELL_EVERY;
}

static void remember(struct batch *b, uint32_t event)
{
    const struct record *rec = &b->input.records[event];
    struct lane *lane = b->input.leases[rec->lane].lane;

    lane->letters.n++;
    if (b->input.events.states[event] == TM_EVENT_HELD) {
        held_keys_add(&lane->keys, rec->key, rec->key_len, 1,
                      b->failures.letters[event].behind);
    } else if (verdict_holds(b, event)) {
        held_keys_add(&lane->keys, rec->key, rec->key_len, 1, rec->offset);
    }
}

static void count_letters(struct batch *b)
{
    uint64_t *counters = b->engine->worker.show.counts->counters;
    uint32_t n_failed = 0, n_held = 0, first = 0;

    for (uint32_t e = 0; e < b->input.events.n; e++) {
        if (!verdict_is_letter(b, e)) {
            continue;
        }
        if (b->input.events.states[e] == TM_EVENT_HELD) {
            first = n_failed + n_held == 0 ? e : first;
            n_held++;
        } else {
            first = n_failed == 0 ? e : first;
            n_failed++;
            b->engine->worker.show.counts
                ->errors[b->failures.letters[e].class]++;
        }
        remember(b, e);
    }
    counters[COUNT_DEAD_LETTERS] += n_failed;
    counters[COUNT_HELD] += n_held;
    if (n_failed + n_held > 0) {
        tell(b, n_failed, n_held, first);
    }
}

void letters_committed(struct batch *b)
{
    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        l->lane->n_seen += lease_moved(l);
        if (l->guard) {
            guard_take(&l->lane->guard, l->guard);
        }
    }
    if (b->failures.letters) {
        count_letters(b);
    }
}

/* ---- asking ---- */

static void end_question(struct engine *g, const struct err *e)
{
    struct letters *l = &g->letters;

    if (e) {
        log_line(LOG_WARN, "dead letters cannot be looked up; trying again",
                 "class=%s error=%s", err_class_name(e->class),
                 log_quote(e->text));
    }
    database_give(&g->worker.database, &l->conn, &l->ticket, e, "dead letters");
    arena_reset(&l->arena);
    l->ask_at = worker_now(&g->worker) + LOOK_EVERY_USEC;
    worker_wake(&g->worker);
}

/* The lane, if it is as it was when the question was asked. */
static struct lane *same_lane(struct engine *g, uint32_t i)
{
    struct letters *q = &g->letters;
    struct lane *l =
        lanes_find(g->worker.source, q->lanes[i].topic, q->lanes[i].partition);

    return l && l->state == LANE_WANTS_KEYS && l->epoch == q->epochs[i] ? l
                                                                        : NULL;
}

static void take_key(struct engine *g, const struct pg_result *r, int row)
{
    struct lane *l = lanes_find(g->worker.source, pg_str(r, row, 0),
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
static void too_many(struct engine *g, const struct err *e)
{
    struct letters *q = &g->letters;
    struct lane *l = same_lane(g, 0);
    struct err why;

    if (q->n > 1) {
        q->is_single = true;
    } else if (l) {
        err_set(&why, ERR_RESOURCE,
                "too many keys wait behind dead letters: %s; `tidemill dlq "
                "export` and `tidemill dlq discard` make them fewer",
                e->text);
        halts_until(&g->halts, l, worker_now(&g->worker) + FULL_PAUSE, &why);
    }
    end_question(g, NULL);
}

static void renew(struct engine *g)
{
    for (uint32_t i = 0; i < g->letters.n; i++) {
        struct lane *l = same_lane(g, i);

        if (l) {
            lane_renew(l);
        }
    }
}

static void on_keys(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct letters *q = &g->letters;
    struct err e;

    (void)c;
    if (r->is_over) {
        too_many(g, &r->error);
        return;
    }
    if (!r->ok) {
        end_question(g, &r->error);
        return;
    }
    renew(g);
    for (int row = 0; row < pg_rows(r->results[0]); row++) {
        take_key(g, r->results[0], row);
        if (g->worker.lanes.held.bytes > g->worker.lanes.held.most) {
            renew(g);
            err_set(&e, ERR_RESOURCE, "they take more than %llu MiB",
                    (unsigned long long)(g->worker.lanes.held.most >> 20));
            too_many(g, &e);
            return;
        }
    }
    for (uint32_t i = 0; i < q->n; i++) {
        struct lane *l = same_lane(g, i);

        if (l) {
            lane_has_keys(l);
        }
    }
    end_question(g, NULL);
    q->ask_at = 0; /* a person may have asked while nobody owned the lane */
}

static void on_wanted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;

    (void)c;
    for (int row = 0; r->ok && row < pg_rows(r->results[0]); row++) {
        struct lane *l =
            lanes_find(g->worker.source, pg_str(r->results[0], row, 0),
                       (int32_t)pg_int(r->results[0], row, 1));

        if (l && l->state != LANE_REVOKED) {
            lane_want_retry(l, true);
        }
    }
    end_question(g, r->ok ? NULL : &r->error);
}

/* All that want it, or one of them. */
static void collect(struct engine *g)
{
    struct letters *q = &g->letters;
    uint32_t n = q->is_single ? 1 : g->worker.lanes.in[LANE_WANTS_KEYS].n;
    struct lane *l = lanes_in(&g->worker.lanes, LANE_WANTS_KEYS);

    q->epochs = arena_alloc(&q->arena, n * sizeof(*q->epochs));
    q->lanes = arena_alloc(&q->arena, n * sizeof(*q->lanes));
    for (q->n = 0; q->n < n; q->n++, l = lanes_next(l)) {
        q->lanes[q->n] =
            (struct record){.topic = l->topic, .partition = l->partition};
        q->epochs[q->n] = l->epoch;
    }
}

/* Looked at once a second. */
static bool has_letters(struct engine *g, usec now)
{
    struct letters *q = &g->letters;

    if (now < q->ask_at) {
        return false;
    }
    for (const struct lane *l = g->worker.lanes.first; l; l = l->after) {
        if (l->kafka->is_assigned && l->letters.n > 0) {
            return true;
        }
    }
    q->ask_at = now + LOOK_EVERY_USEC;
    return false;
}

void letters_turn(struct engine *g)
{
    struct letters *q = &g->letters;
    bool wants_keys = g->worker.lanes.in[LANE_WANTS_KEYS].n > 0;

    if (q->conn || g->worker.is_stopping ||
        (!wants_keys && !has_letters(g, worker_now(&g->worker)))) {
        return;
    }
    q->conn = wants_keys ? database_take(&g->worker.database, &q->ticket)
                         : database_take_spare(&g->worker.database, &q->ticket);
    if (!q->conn) {
        return;
    }
    if (wants_keys) {
        collect(g);
        dead_letter_ask_keys(q->conn, g->worker.now->plan, q->lanes, q->n);
        pgconn_limit(q->conn, g->worker.lanes.held.most);
        pgconn_flush(q->conn, PG_ANSWER_USEC, on_keys, g);
    } else {
        dead_letter_ask_wanted(q->conn, g->worker.now->plan);
        pgconn_flush(q->conn, PG_ANSWER_USEC, on_wanted, g);
    }
}

void letters_close(struct letters *l)
{
    arena_close(&l->arena);
}

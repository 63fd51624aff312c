/* See halts.h. */
#include "flow/halt/halts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/log.h"
#include "flow/generation/compared.h"
#include "flow/lane/verify.h"
#include "flow/show/show.h"
#include "model/deadlines.h"

enum {
    NOTES_BEGUN = 2, /* statements before the first note */
    LOST_PAUSE_USEC = 300000
};

struct halt_note {
    struct position at;
    char *topic;      /* owned: at.topic */
    char *generation; /* owned; see position_halt */
    char *why;        /* owned */
};

void halts_open(struct halts *h, struct worker *w,
                const struct halts_needs *needs)
{
    *h = (struct halts){.worker = w, .needs = *needs};
}

/* ---- to halt ---- */

/* [to]: PAUSED or HALTED. */
static void halt(struct halts *h, struct lane *lane, enum lane_state to,
                 const struct err *e)
{
    show_lane(&h->worker->show, lane);
    lane_become(lane, to);
    show_halted(lane->page, e->text);
    if (log_once(&lane->logged, e->text)) {
        log_line(
            LOG_ERROR,
            to == LANE_PAUSED ? "lane halted; it looks again from time to time"
                              : "lane halted; the others go on",
            "lane=%s/%d position=%" PRId64 " class=%s sqlstate=%s error=%s",
            lane->topic, lane->partition, lane->position,
            err_class_name(e->class), e->sqlstate[0] ? e->sqlstate : "-",
            log_quote(e->text));
    }
}

void halts_lane(struct halts *h, struct lane *lane, const struct err *e,
                int64_t since)
{
    if (lane->kafka->is_assigned) {
        halt(h, lane, LANE_HALTED, e);
        source_halt(h->worker->source, lane->kafka);
    }
    if (lane->page && since) {
        lane->page->halted_since = since;
    }
}

static bool is_for_person(const struct lane *l)
{
    return l->state == LANE_HALTED ||
           (lane_is_halted(l) && l->next == LANE_HALTED);
}

void halts_until(struct halts *h, struct lane *lane, usec until,
                 const struct err *e)
{
    if (lane->kafka->is_assigned && !is_for_person(lane)) {
        lane->pause_until = until;
        halt(h, lane, LANE_PAUSED, e);
        source_rest(h->worker->source, lane->kafka, true);
    }
}

/* What a partition that is gone is looked at for every second, however long its
 * row is locked. */
static bool is_noted(const struct halts *h, const struct position *at)
{
    uint32_t i = 0;

    while (i < h->n_notes && (h->notes[i].at.epoch != at->epoch ||
                              !position_is_same_lane(&h->notes[i].at, at))) {
        i++;
    }
    return i < h->n_notes;
}

void halts_note(struct halts *h, const struct position *at, const char *why,
                const char *generation)
{
    struct halt_note *note;

    if (is_noted(h, at)) {
        return;
    }
    h->notes = mem_grow(h->notes, (h->n_notes + 1) * sizeof(*h->notes));
    note = &h->notes[h->n_notes++];
    *note = (struct halt_note){.at = *at,
                               .topic = mem_dup(at->topic),
                               .generation =
                                   generation ? mem_dup(generation) : NULL,
                               .why = mem_dup(why)};
    note->at.topic = note->topic;
}

/* Another owner, or a person, would have raised the epoch once more. */
void halts_renew_note(struct halts *h, struct position *at)
{
    for (uint32_t i = 0; i < h->n_notes && !at->halted; i++) {
        struct halt_note note = h->notes[i];

        if (note.at.epoch + 1 == at->epoch &&
            position_is_same_lane(&note.at, at)) {
            note.at.epoch = at->epoch;
            at->halted = note.why; /* lasts until a note is written */
            at->halted_since = note.at.halted_since;
            halts_note(h, &note.at, note.why, note.generation);
        }
    }
}

bool halts_are_written(const struct halts *h)
{
    return h->n_notes == 0;
}

void halts_for_person(struct halts *h, struct lane *lane, const struct err *e,
                      const char *scripts_of)
{
    const struct page_lane *p;

    if (!lane->kafka->is_assigned) {
        return;
    }
    halts_lane(h, lane, e, 0);
    p = lane->page;
    const struct position at = {.topic = lane->topic,
                                .partition = lane->partition,
                                .epoch = lane->epoch,
                                .halted_since = p ? p->halted_since
                                                  : wall_usec() / 1000000};
    halts_note(h, &at, e->text, scripts_of);
}

/* ---- to write it down ---- */

static void give_conn(struct halts *h, const struct pgreply *r)
{
    database_give(&h->worker->database, &h->conn, &h->ticket,
                  r->ok ? NULL : &r->error, "halts");
}

static void free_note(struct halt_note *n)
{
    free(n->topic);
    free(n->generation);
    free(n->why);
}

/* The first [n] but for those that [answers] say are not kept; NULL: all. How
 * many of them stay. */
static uint32_t drop_notes(struct halts *h, uint32_t n,
                           struct pg_result *const *answers)
{
    uint32_t n_left = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (answers && !position_is_noted(answers[i])) {
            h->notes[n_left++] = h->notes[i];
        } else {
            free_note(&h->notes[i]);
        }
    }
    if (n_left < n && n < h->n_notes) {
        memmove(h->notes + n_left, h->notes + n,
                (h->n_notes - n) * sizeof(*h->notes));
    }
    h->n_notes -= n - n_left;
    return n_left;
}

/* The first of [n] that are left of those that were sent. One row may be locked, or
 * refused: the others come next. */
static void not_noted(struct halts *h, uint32_t n, const struct err *e)
{
    struct halt_note first = h->notes[0];
    usec now = worker_now(h->worker);

    h->write_at =
        now + backoff_delay(++h->failures, BACKOFF_FLOOR_USEC, BACKOFF_CAP_USEC,
                            worker_random(h->worker));
    if (log_once(&h->logged, e->text)) {
        log_line(LOG_WARN,
                 "halts were not written to tidemill.lane; trying again",
                 "lane=%s/%d lanes=%u error=%s", first.at.topic,
                 first.at.partition, n, log_quote(e->text));
    }
    if (h->n_sent == 1 && !database_is_away(e)) {
        memmove(h->notes, h->notes + 1, (h->n_notes - 1) * sizeof(first));
        h->notes[h->n_notes - 1] = first;
    }
}

static void on_noted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct halts *h = arg;
    struct err e = r->error;
    uint32_t n = h->n_sent;

    (void)c;
    if (r->ok) {
        n = drop_notes(h, n, r->results + NOTES_BEGUN);
        err_set(&e, ERR_SCHEMA, "the table does not keep them: %.300s",
                compared_own_causes(h->worker->now));
    }
    if (n > 0) {
        not_noted(h, n, &e);
    } else {
        h->failures = 0;
    }
    if (h->n_notes == 0) {
        h->logged.at = 0;
    }
    h->n_sent = 0;
    give_conn(h, r);
}

static void write_notes(struct halts *h)
{
    char lock[64];

    h->conn = database_take(&h->worker->database, &h->ticket);
    if (!h->conn) {
        return;
    }
    /* People change lanes meanwhile, and are to be heard. */
    snprintf(lock, sizeof(lock), "SET LOCAL lock_timeout = %d", LOCK_SHORT_MS);
    h->n_sent = h->failures > 0 ? 1 : h->n_notes;
    pgconn_add_sql(h->conn, "BEGIN");
    pgconn_add_sql(h->conn, lock); /* NOTES_BEGUN */
    for (uint32_t i = 0; i < h->n_sent; i++) {
        const struct halt_note *n = &h->notes[i];

        position_note_halt(h->conn, h->worker->now->plan, &n->at, n->why,
                           n->generation);
    }
    pgconn_add_commit(h->conn);
    pgconn_flush(h->conn, PG_ANSWER_USEC, on_noted, h);
}

/* ---- what people changed ---- */

/* No batch of it would notice. */
static bool has_no_batch(const struct lane *l)
{
    return l->state == LANE_HALTED || l->state == LANE_IDLE ||
           (l->state == LANE_WANTS_KEYS &&
            (l->next == LANE_HALTED || l->kafka->inbox.count == 0));
}

static struct lane *find_idle(struct halts *h, const struct position *at)
{
    struct lane *l = lanes_find(h->worker->source, at->topic, at->partition);

    return l && has_no_batch(l) && l->epoch == at->epoch ? l : NULL;
}

/* A person moved it back, and the group has committed that since: a claim ends
 * is_rewound, so that a backup which is restored later is not trusted for it. */
static bool can_end_rewound(const struct lane *l)
{
    return l->was_rewound && !lane_is_halted(l) &&
           l->kafka->advised == l->position;
}

static void on_looked(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct halts *h = arg;

    (void)c;
    if (r->ok && h->has_list) {
        h->needs.listed(h->needs.arg, r->results[0]);
    }
    for (uint32_t i = 0; r->ok && i < h->n_asked; i++) {
        struct lane *l = find_idle(h, &h->asked[i]);

        if (l &&
            (can_end_rewound(l) ||
             position_is_changed(r->results[r->n_results - 1], i, l->epoch))) {
            lane_become(l, LANE_STALE);
            l->logged.at = 0; /* a person waits for an answer */
            worker_wake(h->worker);
        }
    }
    give_conn(h, r);
}

static void look(struct halts *h)
{
    h->n_asked = 0;
    for (struct lane *l = h->worker->lanes.first; l; l = l->after) {
        if (has_no_batch(l)) {
            h->asked = mem_grow(h->asked, (h->n_asked + 1) * sizeof(*h->asked));
            h->asked[h->n_asked++] =
                (struct position){.topic = l->topic,
                                  .partition = l->partition,
                                  .epoch = l->epoch};
        }
    }
    h->has_list = h->needs.wants_list(h->needs.arg);
    if ((h->n_asked == 0 && !h->has_list) ||
        !(h->conn = database_take_spare(&h->worker->database, &h->ticket))) {
        return;
    }
    if (h->has_list) {
        position_list(h->conn, h->worker->now->plan);
    }
    if (h->n_asked > 0) {
        position_epochs(h->conn, h->worker->now->plan, h->worker->owner,
                        h->asked, h->n_asked);
    }
    pgconn_flush(h->conn, PG_ANSWER_USEC, on_looked, h);
}

/* ---- what changes by itself ---- */

/* The broker refuses to read on from where it stands: a claim looks at what it
 * still has, and the lane halts, or it was a passing answer and goes on. What
 * Kafka has may be other records, too. */
void halts_look(struct halts *h, struct lane *l)
{
    const struct partition *p = l->kafka;
    struct err e;

    if (!lane_is_ours(l) || lane_is_halted(l)) {
        return;
    }
    if (p->is_replaced) {
        verify_replaced(l, &e);
        h->worker->show.counts->errors[e.class]++;
        l->misfits = true;
        halts_for_person(h, l, &e, NULL);
    } else if (p->is_lost) {
        lane_become(l, LANE_STALE);
        h->worker->lanes.claim_at = worker_now(h->worker) + LOST_PAUSE_USEC;
    }
}

static void wake(struct halts *h, struct lane *l)
{
    source_rest(h->worker->source, l->kafka, false);
    lane_place(l);
    halts_look(h, l);
    show_lane(&h->worker->show, l);
}

static void wake_paused(struct halts *h, usec now)
{
    struct lane *l = lanes_in(&h->worker->lanes, LANE_PAUSED);

    while (l) {
        struct lane *next = lanes_next(l);

        if (now >= l->pause_until) {
            wake(h, l);
        }
        l = next;
    }
}

void halts_tick(struct halts *h, usec now)
{
    wake_paused(h, now);
    if (h->conn) {
        return;
    }
    if (h->n_notes > 0 && now >= h->write_at) {
        write_notes(h);
    } else if (now >= h->look_at && !h->worker->is_stopping) {
        h->look_at = now + LOOK_EVERY_USEC;
        look(h);
    }
}

void halts_close(struct halts *h)
{
    for (uint32_t i = 0; i < h->n_notes; i++) {
        const struct halt_note *n = &h->notes[i];

        log_line(LOG_WARN,
                 "a halt was not written to tidemill.lane before the end; the "
                 "next run does not know of it",
                 "lane=%s/%d error=%s", n->at.topic, n->at.partition,
                 log_quote(n->why));
    }
    drop_notes(h, h->n_notes, NULL);
    free(h->notes);
    free(h->asked);
}

/*
 * What a claim found: each lane's position is held against what Kafka has, and
 * the lane is read or halts. What Kafka does not tell of a lane leaves out that
 * lane alone.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "flow/claim/claim_part.h"
#include "flow/claim/left_out.h"
#include "flow/halt/halts.h"
#include "flow/lane/verify.h"
#include "flow/publish/publish.h"
#include "flow/show/show.h"

struct found {
    struct verify_facts facts;
    struct err bad; /* why the lane must halt; class ERR_NONE: it need not */
    bool was_halted;
};

/* The group offset only serves to see an older database: without an answer
 * the claim goes on. */
static void ask_group_offsets(struct claim *c, struct found *found)
{
    struct err e;
    uint32_t n_unanswered = 0;

    source_committed(c->worker->source, c->partitions, c->n, c->offsets,
                     c->codes);
    for (uint32_t i = 0; i < c->n; i++) {
        found[i].facts.has_group_offset = c->codes[i] == 0;
        found[i].facts.group_offset = c->offsets[i];
        if (c->codes[i] && n_unanswered++ == 0) {
            source_no_offsets(c->worker->source, c->partitions[i], c->codes[i],
                              &e);
        }
    }
    if (n_unanswered > 0) {
        log_line(LOG_WARN, "whether the database is an older one is not known",
                 "lanes=%u error=%s", n_unanswered, log_quote(e.text));
    }
}

/* Leaves out lanes of which Kafka does not tell. False: it tells of none. */
static bool ask_range(struct claim *c, struct found *found, struct err *e)
{
    uint32_t n = c->n, at = 0;
    int64_t *low = c->offsets, *high = c->offsets + n;
    bool ok;

    source_watermarks(c->worker->source, c->partitions, n, low, high, c->codes);
    ok = lanes_has_claimed(&c->worker->lanes);
    for (uint32_t i = 0; i < n; i++) {
        ok |= c->codes[i] == 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (c->codes[i]) {
            source_no_offsets(c->worker->source, c->partitions[at], c->codes[i],
                              e);
        }
        if (c->codes[i] && !ok) {
            return false;
        }
        if (c->codes[i]) {
            claim_leave_out(c, at, e);
        } else {
            found[at].facts.low = low[i];
            found[at++].facts.high = high[i];
        }
    }
    return true;
}

/* ---- lanes that begin now ---- */

static bool is_unbegun(const struct position *at)
{
    return at->next_offset == POSITION_UNBEGUN;
}

/* Lanes of one time are asked about together; where it is not known, nothing is
 * changed. */
static void ask_time(struct claim *c, uint32_t first, uint32_t n, int64_t ms)
{
    source_offsets_at(c->worker->source, c->partitions + first, n, ms,
                      c->offsets + first, c->codes + first);
}

/* Where `latest` was when the pipeline began, or the time that it names; of
 * other words it is the first record. Of lanes that have begun it does not
 * matter what is asked. */
static void ask_times(struct claim *c, const struct found *found)
{
    const struct plan_source *s = &c->worker->now->plan->source;
    bool is_of_time = s->start == START_TIMESTAMP || s->start == START_LATEST;
    uint32_t n;

    for (uint32_t i = 0; i < c->n; i += n) {
        int64_t ms = c->lanes[i].anchor.ms;

        for (n = 1; i + n < c->n && c->lanes[i + n].anchor.ms == ms; n++) {
        }
        c->codes[i] = 0;
        c->offsets[i] = found[i].facts.low;
        if (is_of_time && is_unbegun(&c->lanes[i])) {
            ask_time(c, i, n, s->start == START_LATEST ? ms : s->start_ms);
        } else {
            n = 1;
        }
    }
}

/* The lane of the claim that is the number [k] of those that begin. */
static uint32_t find_unbegun(const struct claim *c, uint32_t k)
{
    uint32_t i = 0;

    while (!is_unbegun(&c->lanes[i]) || k-- > 0) {
        i++;
    }
    return i;
}

static void on_begun(struct pgconn *conn, const struct pgreply *r, void *arg)
{
    struct claim *c = arg;
    struct err e = r->error;

    (void)conn;
    if (claim_is_of_row(c, r, c->n_begun)) {
        err_wrap(&e, "its first position cannot be written to tidemill.lane");
        claim_leave_out(c, find_unbegun(c, (uint32_t)(r->failed - c->first)),
                        &e);
        found_decide(c);
    } else if (!claim_has_failed(c, r)) {
        for (uint32_t i = 0; i < c->n; i++) {
            if (is_unbegun(&c->lanes[i])) {
                c->lanes[i].next_offset = c->lanes[i].begin;
            }
        }
        found_decide(c);
    }
}

/* All comes here again behind the answer. */
static void write_begun(struct claim *c, const struct found *found)
{
    struct err e;
    uint32_t n = c->n, at = 0;

    ask_times(c, found);
    for (uint32_t i = 0; i < n; i++) {
        if (c->codes[i]) {
            source_no_offsets(c->worker->source, c->partitions[at], c->codes[i],
                              &e);
            claim_leave_out(c, at, &e);
        } else { /* no record is that young: the end */
            c->lanes[at++].begin =
                c->offsets[i] < 0 ? found[i].facts.high : c->offsets[i];
        }
    }
    claim_begin(c);
    c->n_begun = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (is_unbegun(&c->lanes[i])) {
            position_begin(c->conn, c->worker->now->plan, &c->lanes[i],
                           c->lanes[i].begin);
            c->n_begun++;
        }
    }
    pgconn_add_commit(c->conn);
    c->asked_at = worker_now(c->worker);
    pgconn_flush(c->conn, claim_deadline(c), on_begun, c);
}

static bool has_unbegun(const struct claim *c)
{
    uint32_t i = 0;

    while (i < c->n && !is_unbegun(&c->lanes[i])) {
        i++;
    }
    return i < c->n;
}

/* ---- lanes that are there ---- */

/* What another worker of this run saw says where the lane stood when it was
 * claimed last: nothing of what came behind a claim of others. */
static void know(struct claim *c, const struct lane *l,
                 const struct position *at, struct verify_facts *f)
{
    show_seen(&c->worker->show, c->worker->source, l->topic, l->partition,
              &f->epoch, &f->position);
    f->was_rewound = l->epoch == f->epoch ? l->was_rewound : true;
    if (at->epoch != f->epoch + 1) {
        f->position = l->position;
    }
}

static void check_lanes(struct claim *c, struct found *found)
{
    ask_group_offsets(c, found);
    for (uint32_t i = 0; i < c->n; i++) {
        struct verify_facts *f = &found[i].facts;
        const struct page_lane *p = show_entry(&c->worker->show, c->claimed[i]);

        know(c, c->claimed[i], &c->lanes[i], f);
        found[i].was_halted = p && p->state == PAGE_LANE_HALTED;
        found[i].bad.class = ERR_NONE;
        halts_renew_note(c->halts, &c->lanes[i]);
        /* found[i].bad tells. */
        err_ignore(verify_position(&c->lanes[i], f, &found[i].bad));
    }
}

static void set_lanes(struct claim *c, const struct found *found)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct position *at = &c->lanes[i];
        struct lane *l = c->claimed[i];

        l->position = at->next_offset;
        l->epoch = at->epoch;
        l->was_rewound = at->is_rewound;
        l->ends_rewound = verify_ends_rewound(at, &found[i].facts);
        l->claim = ++c->worker->lanes.n_claims;
    }
}

static void start_reading(struct claim *c, const struct found *found)
{
    for (uint32_t i = 0; i < c->n; i++) {
        const struct position *at = &c->lanes[i];
        struct lane *l = c->claimed[i];
        bool is_checked = found[i].bad.class == ERR_NONE &&
                          verify_has_anchor(at, &found[i].facts);

        left_out_taken(&c->left_out, l);
        lane_claimed(l);
        source_read(c->worker->source, l->kafka, l->position,
                    is_checked ? &at->anchor : NULL);
    }
}

static void halt_bad(struct claim *c, const struct position *at, struct lane *l,
                     const struct err *bad)
{
    if (!at->halted) {
        c->worker->show.counts->errors[bad->class]++;
        halts_for_person(c->halts, l, bad, NULL);
        return;
    }
    halts_lane(c->halts, l, bad, at->halted_since);
}

/* Of how many lanes is_rewound is to end. */
static uint32_t act(struct claim *c, const struct found *found)
{
    uint32_t n_ending = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        const struct position *at = &c->lanes[i];
        struct lane *l = c->claimed[i];

        l->misfits = found[i].bad.class != ERR_NONE;
        show_range(&c->worker->show, l, found[i].facts.high);
        if (l->misfits) {
            halt_bad(c, at, l, &found[i].bad);
        } else if (found[i].was_halted) {
            log_line(LOG_INFO, "lane goes on", "lane=%s/%d position=%" PRId64,
                     l->topic, l->partition, l->position);
        }
        n_ending += l->ends_rewound;
    }
    return n_ending;
}

/* Else the next batch of the lane does it, or another claim: a row that says for
 * weeks that a person has just changed it would be trusted out of a backup. */
static void on_rewound_ended(struct pgconn *conn, const struct pgreply *r,
                             void *arg)
{
    struct claim *c = arg;

    (void)conn;
    for (uint32_t i = 0; r->ok && !c->is_void && i < c->n; i++) {
        c->claimed[i]->was_rewound &= !c->claimed[i]->ends_rewound;
    }
    claim_end(c);
}

static void end_rewound(struct claim *c)
{
    claim_begin(c);
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->claimed[i]->ends_rewound) {
            position_end_rewound(c->conn, c->worker->now->plan, &c->lanes[i]);
        }
    }
    pgconn_add_commit(c->conn);
    pgconn_flush(c->conn, claim_deadline(c), on_rewound_ended, c);
}

static void begin_lanes(struct claim *c, struct found *found)
{
    check_lanes(c, found);
    set_lanes(c, found);
    start_reading(c, found);
    c->failures = 0;
    c->logged.at = 0;
    show_ready(&c->worker->show);
    publish_due(c->publish);
    log_line(LOG_INFO, "lanes claimed", "lanes=%u", c->n);
    if (act(c, found) > 0) {
        end_rewound(c);
    } else {
        claim_end(c);
    }
}

void found_decide(struct claim *c)
{
    struct found *found = mem_zero(c->n + 1, sizeof(*found));
    struct err e;

    if (!ask_range(c, found, &e)) {
        claim_failed(c, &e);
    } else if (c->n == 0) {
        claim_none(c);
    } else if (has_unbegun(c)) {
        write_begun(c, found);
    } else {
        begin_lanes(c, found);
    }
    free(found);
}

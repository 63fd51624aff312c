/* See halt.h. */
#include "flow/halt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "flow/engine.h"
#include "flow/progress.h"
#include "flow/verify.h"

enum { LOST_PAUSE_USEC = 300000, LOOK_USEC = 1000000, REPLY_USEC = 30000000 };

struct halt_note {
    struct position at;     /* its topic is borrowed from the source */
    const char *generation; /* borrowed; see position_halt */
    char why[sizeof((struct err *)0)->text];
};

/* ---- to halt ---- */

void engine_halt(struct engine *g, struct lane *lane, const struct err *e)
{
    struct page_lane *p;
    bool is_news = !lane->is_halted;

    if (!lane->is_assigned) {
        return;
    }
    progress_lane(g, lane);
    p = lane->page;
    lane->is_halted = true;
    is_news = is_news && (!p || strncmp(p->message, e->text, 100) != 0);
    progress_halted(p, e->text);
    if (is_news) {
        log_line(
            LOG_ERROR,
            lane->retry_at ? "lane halted; it looks again from time to time"
                           : "lane halted; the others go on",
            "lane=%s/%d position=%" PRId64 " class=%s sqlstate=%s error=%s",
            lane->topic, lane->partition, lane->position,
            err_class_name(e->class), e->sqlstate[0] ? e->sqlstate : "-",
            log_quote(e->text));
    }
    if (!lane->retry_at) {
        source_halt(g->source, lane);
    }
}

void halt_note(struct engine *g, const struct position *at, const char *why,
               const char *generation)
{
    struct halts *h = &g->halts;
    struct halt_note *note;

    h->notes = mem_grow(h->notes, (h->n_notes + 1) * sizeof(*h->notes));
    note = &h->notes[h->n_notes++];
    *note = (struct halt_note){.at = *at, .generation = generation};
    snprintf(note->why, sizeof(note->why), "%s", why);
}

void engine_halt_for_person(struct engine *g, struct lane *lane,
                            const struct err *e, bool by_scripts)
{
    const struct page_lane *p;

    if (!lane->is_assigned) {
        return;
    }
    lane->retry_at = 0;
    engine_halt(g, lane, e);
    p = lane->page;
    const struct position at = {.topic = lane->topic,
                                .partition = lane->partition,
                                .epoch = lane->epoch,
                                .halted_since =
                                    p ? p->halted_since : time(NULL)};
    halt_note(g, &at, e->text, by_scripts ? g->plan->hash : NULL);
}

/* ---- to write it down ---- */

static void give_conn(struct engine *g, const struct pgreply *r)
{
    database_give(g, &g->halts.conn, &g->halts.ticket, r->ok ? NULL : &r->error,
                  "halts");
}

static void on_noted(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct halts *h = &g->halts;

    (void)c;
    if (!r->ok) {
        log_line(LOG_WARN, "halts were not written to tidemill.lane",
                 "lanes=%u error=%s", h->n_sent, log_quote(r->error.text));
    }
    h->n_notes -= h->n_sent;
    memmove(h->notes, h->notes + h->n_sent, h->n_notes * sizeof(*h->notes));
    give_conn(g, r);
}

static void write_notes(struct engine *g)
{
    struct halts *h = &g->halts;

    h->conn = database_take(g, &h->ticket);
    if (!h->conn) {
        return;
    }
    for (uint32_t i = 0; i < h->n_notes; i++) {
        const struct halt_note *n = &h->notes[i];

        position_halt(h->conn, g->plan, &n->at, n->why, n->generation);
    }
    h->n_sent = h->n_notes;
    pgconn_flush(h->conn, REPLY_USEC, on_noted, g);
}

/* ---- what people changed ---- */

static bool is_quiet(const struct lane *l)
{
    return l->is_assigned && !l->is_leased && !l->needs_claim &&
           (l->is_halted ? !l->retry_at : l->inbox.count == 0);
}

static struct lane *find_quiet(struct engine *g, const struct position *at)
{
    struct lane *l = source_lane(g->source, at->topic, at->partition);

    return l && is_quiet(l) && l->epoch == at->epoch ? l : NULL;
}

static void on_looked(struct pgconn *c, const struct pgreply *r, void *arg)
{
    struct engine *g = arg;
    struct halts *h = &g->halts;

    (void)c;
    if (r->ok && h->has_list) {
        topics_known(g, r->results[0]);
    }
    for (uint32_t i = 0; r->ok && i < h->n_asked; i++) {
        struct lane *l = find_quiet(g, &h->asked[i]);

        if (l &&
            position_is_changed(r->results[r->n_results - 1], i, l->epoch)) {
            l->needs_claim = true;
            loop_idle_set(g->idle, true);
        }
    }
    give_conn(g, r);
}

static void look(struct engine *g)
{
    struct halts *h = &g->halts;

    h->n_asked = 0;
    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        if (is_quiet(l)) {
            h->asked = mem_grow(h->asked, (h->n_asked + 1) * sizeof(*h->asked));
            h->asked[h->n_asked++] =
                (struct position){.topic = l->topic,
                                  .partition = l->partition,
                                  .epoch = l->epoch};
        }
    }
    h->has_list = topics_wants_list(g);
    if ((h->n_asked == 0 && !h->has_list) ||
        !(h->conn = database_take(g, &h->ticket))) {
        return;
    }
    if (h->has_list) {
        position_list(h->conn, g->plan);
    }
    if (h->n_asked > 0) {
        position_epochs(h->conn, g->plan, g->owner, h->asked, h->n_asked);
    }
    pgconn_flush(h->conn, REPLY_USEC, on_looked, g);
}

/* ---- what changes by itself ---- */

static void wake(struct lane *l, usec now)
{
    if (l->is_halted && l->retry_at && now >= l->retry_at) {
        l->is_halted = false;
        l->retry_at = 0;
    }
}

/* The broker refuses to read on from where a lane stands. A claim looks at
 * what it still has: the lane halts, or it was a passing answer and goes on. */
static void doubt_lost(struct engine *g, struct lane *l, usec now)
{
    if (l->is_lost && l->is_assigned && !l->is_halted && !l->needs_claim) {
        l->needs_claim = true;
        g->claim.retry_at = now + LOST_PAUSE_USEC;
    }
}

static void halt_doubted(struct engine *g, struct lane *l)
{
    struct err e;

    if (l->is_doubted && l->is_assigned && !l->is_halted && !l->needs_claim) {
        verify_replaced(l, &e);
        g->counts->errors[e.class]++;
        engine_halt_for_person(g, l, &e, false);
    }
}

void halt_tick(struct engine *g, usec now)
{
    struct halts *h = &g->halts;

    for (struct lane *l = source_lanes(g->source); l; l = l->next) {
        wake(l, now);
        doubt_lost(g, l, now);
        halt_doubted(g, l);
    }
    if (h->conn || g->is_stopping) {
        return;
    }
    if (h->n_notes > 0) {
        write_notes(g);
    } else if (now >= h->look_at) {
        h->look_at = now + LOOK_USEC;
        look(g);
    }
}

void halt_close(struct halts *h)
{
    free(h->notes);
    free(h->asked);
}

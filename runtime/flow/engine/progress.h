#pragma once
/* What the supervisor and people see: lanes and gauges in the page. */
#include "flow/engine/engine.h"

/* The lane's entry in the page; NULL when that is full, or for now. */
struct page_lane *progress_page(struct engine *g, struct lane *lane);
/* What this run knows of the lane: the last epoch that any of its workers held
 * (0: none) and the position then (-1: not known). A lane changes hands, and
 * workers die. */
void progress_seen(struct engine *g, const struct lane *lane, int64_t *epoch,
                   int64_t *position);
void progress_lane(struct engine *g, struct lane *lane);
/* A lane that the group gave us, and that cannot be claimed now. */
void progress_unclaimed(struct engine *g, struct lane *lane);
/* The same, when the end of the partition was asked. */
void progress_range(struct engine *g, struct lane *lane, int64_t high);
/* The lane stands, and why; [p] may be NULL. */
void progress_halted(struct page_lane *p, const char *why);
/* A lane whose partition is gone, so that it has no owner; false: it was shown
 * already. */
bool progress_gone(struct page_lane *p, int64_t position, const char *why);
/* Nobody waits for it any more. */
void progress_let_go(struct page_lane *p);
/* That wait begins or goes on, [what] and [why] for people; both "": it is
 * over. */
void progress_reason(struct engine *g, enum reason r, const char *what,
                     const char *why);
/* REASON_WORK: the worker is not ready until progress_ready(). */
void progress_waits(struct engine *g, const char *what, const char *why);
void progress_ready(struct engine *g);
void progress_lost(struct engine *g, struct lane *lane);
void progress_batch(struct engine *g, const struct batch *b);
/* Heartbeat and gauges; about four times a second. */
void progress_tick(struct engine *g);
/* A stage ended, which is a sign of life; what it took. */
usec progress_stage(struct engine *g, enum page_stage stage, usec since);
/* The same for a stage of the batch in which nothing else could run: sets its
 * pace. */
void progress_step(struct batch *b, enum page_stage stage, usec since);
/* Lists every partition of every topic, once they are known; --until-end needs
 * to know them all. */
void progress_all_lanes(struct engine *g);

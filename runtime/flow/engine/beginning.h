#pragma once
/*
 * Where lanes begin that have no position: at `start` of kafka{}. For a
 * partition that a topic got later that is its first record, whatever `start`
 * says, or the records before the first claim would be lost; so the first
 * worker that sees a topic gives all its partitions their positions at once.
 * So does the first worker that sees a pipeline, since who comes next must
 * find that it has begun.
 *
 * A partition of which Kafka does not tell then, as one without a leader, has
 * begun all the same: its row says so (POSITION_UNBEGUN), and where it begins is
 * written once Kafka tells (found.c).
 *
 * A lane that had a position, as this run has seen or Kafka was told, does not
 * begin: its row is made anew, halted, at the last position that is known
 * (verify_missing). And a pipeline that has no position at all does not count
 * its history into tables that have rows, unless `onto_rows` says so: it may be
 * one that was renamed.
 */
#include "base/err.h"
#include "flow/engine/claim.h"

/* Queues what must be known, for a claim that has lanes without a position. */
void beginning_ask(struct engine *g);
/* From the reply: the rows that are to be made for them, in claim.made. False:
 * none. A lane that cannot begin now is left out of the claim. */
bool beginning_decide(struct engine *g, const struct pgreply *r,
                      struct err *e) MUSTCHECK;
/* May the others begin without this row? Not where a lane that comes later would
 * begin elsewhere. */
bool beginning_may_lack(const struct engine *g, const struct position *p);

#pragma once
/*
 * Tables held against the plan of a generation, and what is learned of them by
 * that (generation->tables).
 */
#include "base/buf.h"
#include "base/err.h"
#include "flow/generation/generation.h"
#include "postgres/wire/conn.h"

struct cache_ring;
struct page;

/* From what catalog_ask() was answered: how many problems there are; their
 * lines, and warnings, go to [lines]. Without any they are as compared. Rows of
 * [cache] stay only if that is as it was; NULL: the generation has none in it.
 * [page]: what the run knows of them is taken from there, and put there. */
int compared_tables(struct generation *n, struct page *page,
                    struct cache_ring *cache, const struct pgreply *r,
                    struct buf *lines);
/* What may keep back or change what is written to tidemill.lane and
 * tidemill.dead_letter, for people: a question where nothing is known. */
const char *compared_own_causes(const struct generation *n);
/* Such a table did not keep what was written (TM004, TM005): [named] says which,
 * and what may be why. False: the failure is another one. */
bool compared_is_unkept(const struct generation *n, const struct err *e,
                        struct err *named);

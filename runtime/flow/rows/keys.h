#pragma once
/*
 * Row keys: from the events of a batch to (event, row) pairs, in batch order.
 * Where lanes own their rows the record key must be the row key: record_key.h.
 */
#include "base/err.h"
#include "decode/envelope/decoder.h"
#include "flow/rows/rows.h"

/* The rows forget everything; pairs and rows of a new batch follow, and with the
 * first table of a batch function the events that it takes. */
void keys_begin(struct rows *r, struct arena *a, struct arena *loaded,
                struct events *ev);
/*
 * Pairs for every event from *event on that the projection handles; those of
 * events that are held for now too, since what holds them may turn out to be
 * no failure. False: the key of *event cannot be computed; its caller goes on
 * behind it. For projections with keys in Lua only the events are
 * chosen.
 */
bool keys_collect(struct rows *r, struct decoder *d, uint32_t *event,
                  struct err *e) MUSTCHECK;
/* Enters [event] into its row or rows. Key columns that are functions come
 * from [given] (n_key cells, as Lua returned them), the others from the
 * event. */
bool keys_enter(struct rows *r, uint32_t event, const struct tm_cell *given,
                struct err *e) MUSTCHECK;

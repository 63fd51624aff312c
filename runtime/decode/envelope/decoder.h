#pragma once
/*
 * From raw records to the columns of a batch.
 *
 * A decoder belongs to one pipeline. It knows what each topic holds, the paths
 * that are wanted, as a tree (keys and columns declare them, or a handler has
 * once read them), the numbers of event types, and the Debezium schemas that
 * came so far. One
 * pass over a record fills one cell for each wanted node, and checks that the
 * whole of it is JSON.
 *
 * Invariant: cells point into the record's own bytes or into the batch's
 * arena, so records must stay until the batch is done. A record that cannot
 * be read never stops the others: its state becomes TM_EVENT_FAILED and
 * reasons[] says why.
 */
#include "base/arena.h"
#include "base/err.h"
#include "decode/envelope/events.h"
#include "decode/json/path.h"
#include "model/api.h"
#include "model/plan.h"
#include "model/record.h"

struct decoder;

struct decoder *decoder_new(const struct plan_source *s,
                            record_header_fn header);
void decoder_free(struct decoder *d);
/* From now on [header] reads headers: the next records come from elsewhere than
 * the last ones. */
void decoder_set_header(struct decoder *d, record_header_fn header);

/* Does the value of these records hold event.id (TM_NODE_ID)? [topic] is an
 * index in plan_source.settings. */
bool decoder_holds_id(const struct decoder *d, uint16_t topic);

/*
 * The node of "data.x.y", "after.x", "before.x", "key.x" or "source.x"; made if
 * new, and its value is decoded from the next batch on. -1: the path has no
 * such root, or there are too many fields already (decode/json/path.h).
 */
int decoder_path(struct decoder *d, const char *path);
/* The same below a node, by one field name of [len] bytes. Both are for what a
 * pipeline declares: a record fails when such a field cannot be read. */
int decoder_field(struct decoder *d, int parent, const char *name, size_t len);
/* For what a handler asks for; see path_learn(). */
int decoder_learn(struct decoder *d, int parent, const char *name, size_t len,
                  enum path_name is);
/* "data.x" of a node, in the arena. */
const char *decoder_text(const struct decoder *d, int node, struct arena *a);
/* When a node has no room for further fields: how many fields got a column,
 * either of this node (PATH_VARIED) or, if more, of all objects. 0: that was
 * logged before, for the node or for all. */
uint32_t decoder_must_tell(struct decoder *d, int node);
/*
 * A field that has no column: looks it up in one event. A number from TM_LOOSE
 * on, see tm_field(). The column of a [parent] that is a node below a root must
 * be decoded.
 */
int decoder_look(struct decoder *d, struct events *ev, uint32_t event,
                 int parent, const char *name, size_t len);
/* What a cell of an event is called: "data.x", in the arena; NULL: it is a copy. */
const char *decoder_place(const struct decoder *d, const struct events *ev,
                          const struct tm_cell *cell, struct arena *a);
/*
 * A number that a handler passes on to a column of times: its unit, if a time of
 * the event has that value (TM_INT or TM_DEC), whether it has a column or not;
 * else TM_HINT_NONE.
 */
uint8_t decoder_hint(const struct decoder *d, const struct events *ev,
                     uint32_t event, const struct tm_cell *c);
/* The value of such a field; it stays until the next one is looked up. */
const struct tm_cell *decoder_loose(struct decoder *d, struct events *ev,
                                    uint32_t event, int field);

/* Arrays for [n] events from the arena; sets view's pointers. */
void events_prepare(struct events *ev, struct decoder *d, uint32_t n);
/* Decodes records [from, to). */
void decoder_run(struct decoder *d, struct events *ev, uint32_t from,
                 uint32_t to);
/* A column fault: decodes column [node] of all [n] events. Records that fail
 * now are marked; false when there was at least one new failure. */
bool decoder_column(struct decoder *d, struct events *ev, int node);

/* Type numbers last as long as the decoder; 0 is "no type". NULL also for
 * TYPES_OTHER, see decode/envelope/types.h. */
const char *decoder_type_name(const struct decoder *d, uint32_t type,
                              size_t *len);
/* The type of an event, whatever its number; NULL: it has none. */
const char *decoder_event_type(const struct decoder *d, const struct events *ev,
                               uint32_t event, size_t *len);
/* A type that the pipeline names has a number of its own. */
void decoder_know_type(struct decoder *d, const char *name);

/* See tm_json(). */
int decoder_tokens(struct decoder *d, struct arena *a, const char *json,
                   size_t len, const struct tm_cell **out, uint32_t *n_out);

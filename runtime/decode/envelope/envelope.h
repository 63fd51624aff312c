#pragma once
/*
 * The envelope formats: where in a record the event's data, type, time and
 * operation are. One reading function a format; all of them fill the columns
 * through the same walk.
 *
 * Invariant: a function that returns false has set `reason`, in words for the
 * user; one that returns true has set all of `facts`.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "decode/envelope/events.h"
#include "decode/envelope/types.h"
#include "decode/json/schema.h"
#include "decode/json/walk.h"
#include "model/plan.h"
#include "model/record.h"

struct facts {
    uint8_t state; /* enum tm_event_state */
    uint8_t op;
    uint8_t flags;
    uint16_t type;
    uint32_t type_len;     /* TYPES_OTHER: */
    const char *type_name; /* the record's own, or the arena's */
    int64_t time_ms;
};

struct reader {
    /* -- set once */
    record_header_fn header;
    struct types types;
    struct schemas *values; /* owned; schemas of values, and of keys: apart, */
    struct schemas *keys;   /* owned; so that each finds its last one first */
    struct schema_row source_times; /* by_node owned; see schema.h */
    struct schema_row added_times;  /* the same */
    uint16_t op_types[128]; /* debezium: number of an op letter, 0 = not yet */
    /* -- the record in hand */
    const struct plan_topic *topic;
    int type_node; /* json with a type path; else -1 */
    struct walk walk;
    struct facts facts;
    const char *reason;  /* arena */
    bool is_misfit;      /* see reader_misfit */
    const char *start;   /* of the bytes that faults are counted from */
    bool knows_prefixes; /* a record may start with a schema seen before */
    bool used_prefix;    /* this one did */
    bool is_wrapped;     /* the payload is followed by the wrapper's brace */
};

typedef bool (*envelope_fn)(struct reader *r, const struct record *rec);

bool outbox_read(struct reader *r, const struct record *rec) MUSTCHECK;
/* Rows of an outbox table, as Debezium captures them. */
bool outbox_row_read(struct reader *r, const struct record *rec) MUSTCHECK;
bool debezium_read(struct reader *r, const struct record *rec) MUSTCHECK;
/* Debezium behind ExtractNewRecordState, when the pipeline says so. */
bool flattened_read(struct reader *r, const struct record *rec) MUSTCHECK;
bool plain_read(struct reader *r, const struct record *rec) MUSTCHECK;
/* Fills the columns of KEY and below. */
bool key_read(struct reader *r, const struct record *rec) MUSTCHECK;

/* A flattened row at structural [first]; the walk was through it once. */
bool flattened_row(struct reader *r, uint32_t first, struct schema *schema);
/* A value of Debezium that is no object: null is what a tombstone is behind a
 * schema, and is read with [tombstone]. */
bool debezium_other(struct reader *r, bool (*tombstone)(struct reader *r));
/*
 * Is the object at structural [first] one of Debezium's own records: of its
 * transaction, heartbeat or schema change topics? [names] gets the names of
 * its first fields, unless it is NULL.
 */
bool debezium_is_own(struct walk *w, uint32_t first, struct buf *names);
/* Has the envelope a row where its op promises one? c, u and r promise `after`,
 * and nothing but null may stand for a row elsewhere. False: it is a misfit. */
bool debezium_has_row(struct reader *r, char op, const struct tm_cell *before,
                      const struct tm_cell *after);
/* The misfit alone: what [field] holds is none. */
bool debezium_no_row(struct reader *r, char op, const char *field,
                     const struct tm_cell *c);
/* Is the topic one of Debezium's heartbeats? */
static inline bool debezium_is_heartbeat(const char *topic)
{
    static const char prefix[] = "__debezium-heartbeat";

    return strncmp(topic, prefix, sizeof(prefix) - 1) == 0;
}

/* At the row that an event is about, which becomes its data and [as]: the
 * root after, or before when the row was deleted. */
bool reader_row(struct reader *r, int as, struct schema_row *row) MUSTCHECK;
/* At the value of `source`: its columns, and the time of the change. */
bool reader_source(struct reader *r) MUSTCHECK;
/* The letter of an operation; 0: it is none, and the record fails. */
char reader_letter(struct reader *r, const struct tm_cell *op);
/* A letter of an operation as op and type; 'm' is skipped. */
bool reader_op(struct reader *r, const struct tm_cell *op) MUSTCHECK;
/* The event's type; [p] lasts as the record does. Always true. */
bool reader_type(struct reader *r, const char *p, size_t len) MUSTCHECK;
/* [text] holds JSON: it becomes data. The walk goes over to it. */
bool reader_document(struct reader *r, const struct tm_cell *text) MUSTCHECK;
/* Was the flattened row deleted, by its __deleted and __op? False: they make no
 * sense, alone or together, and the record fails. */
bool reader_deletion(struct reader *r, const struct tm_cell *mark,
                     const struct tm_cell *op, bool *is_deleted);
/* Makes the columns of everything but the key missing. */
void reader_forget(struct reader *r);

/*
 * Opens a document that may be {"schema":...,"payload":...}; the walk then
 * stands at the payload, or at the value itself. *schema is NULL when there
 * is none. After the payload was read connect_close() must follow.
 */
bool connect_open(struct reader *r, struct schemas *s, const char *p,
                  size_t len, struct schema **schema) MUSTCHECK;
bool connect_close(struct reader *r) MUSTCHECK;

/* Always false, for `return reader_fail(...)`. */
bool reader_fail(struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same: not the record is wrong, but what the pipeline says of its source. */
bool reader_misfit(struct reader *r, const char *reason);
/* Says what is wrong with [what] ("value" or "key") by the walk's fault. */
bool reader_bad_json(struct reader *r, const char *what);
/* Nothing to apply here: only the position moves. Always true. */
bool reader_skip(struct reader *r);

#pragma once
/* What decoder.c and decoder_loose.c share. */
#include "decode/envelope/decoder.h"
#include "decode/envelope/envelope.h"
#include "decode/json/lookup.h"
#include "decode/json/path.h"

/* How the records of one topic are read. */
struct reading {
    envelope_fn read;
    int type_node;    /* json with a type path; else -1 */
    bool is_keyed_in; /* event.key and event.id are in the value */
};

struct decoder {
    struct path tree;
    struct reader reader;
    struct lookup lookup;
    const struct plan_source *source; /* borrowed */
    struct reading *readings;         /* owned; as plan_source.settings */
    struct reading *now;              /* of the topic in hand */
    const char *topic;                /* that topic's name; NULL: none yet */
};

/* Before a record is read into the cells of [event]. */
void decoder_begin_record(struct reader *r, uint32_t event);
/* Reads a record that was read before: its key, or what its value holds. */
bool decoder_read_again(struct decoder *d, const struct record *rec,
                        bool is_key);

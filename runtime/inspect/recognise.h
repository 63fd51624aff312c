#pragma once
/*
 * What the records of a topic are and how the connector that wrote them was set
 * up, held against what the pipeline says of the topic. What differs becomes a
 * finding, with the property of the connector to change or the word of kafka{}
 * to write. It reads a few records at leisure, for people; a run never comes
 * here. Pure: the same records give the same findings.
 *
 * A problem is what would halt a lane or make records fail. A run alone says of
 * which records that is so: the caller lets the decoder, the keys and the
 * mirrors try each one (struct taken), and here is looked for words that explain
 * what they refused. All else that somebody should know is a warning. What a
 * number or a text means is guessed here from the values, for advice alone:
 * nothing is ever decoded by a guess.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "model/plan.h"
#include "model/record.h"

/* What a run makes of a record. */
struct taken {
    uint8_t state;      /* enum tm_event_state */
    uint8_t op;         /* of an event: c u d r t, or 0 */
    bool is_flat;       /* its value is the row itself */
    const char *reason; /* arena; why it is refused; NULL: it is not */
};

struct recognise {
    const struct plan_topic *topic;
    const struct plan_projection *const *projections; /* that read it */
    uint32_t n_projections;
    int32_t n_partitions;
    const struct record *records;
    uint32_t n;
    const struct taken *taken; /* [n] */
    const bool *passed; /* [n], or NULL: none. What a run has behind it shows
                           what a topic holds, but is no finding any more */
    record_header_fn header;
    record_header_at_fn header_at;
};

struct finding {
    bool is_warning;
    const char *what; /* arena, as all texts here */
    const char *cure;
    const struct record *record; /* one that shows it; NULL: the topic */
};

enum { FINDINGS_MOST = 24 };

struct recognised {
    const char *summary; /* "change events of a table (c, r)" */
    const char *keys;    /* what record keys are to the projections whose order
                            stands on them; NULL: there is none */
    struct finding list[FINDINGS_MOST];
    uint32_t n;
};

void recognise(const struct recognise *q, struct arena *a,
               struct recognised *out);

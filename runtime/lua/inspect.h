#pragma once
/*
 * What the records of a topic are, and what the pipeline says of it that does
 * not fit, for `check`: the rules are scripts/tidemill/inspect. A problem is
 * what would halt a lane or make records fail; all else that somebody should
 * know is a warning.
 */
#include "base/arena.h"
#include "base/err.h"
#include "model/plan.h"
#include "model/record.h"

struct vm;

struct inspection {
    const struct plan *plan; /* as the VM loaded it last */
    uint32_t topic;          /* its number in the plan */
    int32_t n_partitions;
    const struct record *records;
    uint32_t n;
    const bool *passed; /* [n]. What a run has behind it shows what a topic
                           holds, but is no finding any more */
    record_header_at_fn header_at;
};

struct finding {
    bool is_warning;
    const char *what;            /* arena, as all texts here */
    const char *hint;            /* "": nobody knows */
    const struct record *record; /* one that shows it; NULL: the topic */
};

struct inspected {
    const char *summary;  /* "change events of a table (c, r)" */
    const char *keys;     /* what record keys are to the projections whose order
                            stands on them; NULL: there is none */
    struct finding *list; /* problems first */
    uint32_t n;
};

/* false with e (ERR_CONFIG): the scripts ran out of memory. */
bool vm_inspect(struct vm *v, const struct inspection *q, struct arena *a,
                struct inspected *out, struct err *e) MUSTCHECK;

#pragma once
/*
 * The two kinds of batches, and all in which they differ: records of Kafka, over
 * which the positions of their lanes move, and dead letters that are tried again,
 * while their lane stays where it is.
 */
#include "flow/run/next.h"
#include "postgres/store/position.h"

/* What became of a COMMIT, by the lanes' positions. */
enum commit_state { COMMIT_DONE, COMMIT_UNDONE, COMMIT_MOVED };

struct batch_kind {
    record_header_at_fn header_at;
    bool is_cached;   /* its rows may come from the row cache, and stay in it */
    bool holds_lanes; /* its lanes wait for it: people see that, and it may wait
                           patiently for a lock */
    uint32_t most_lost; /* attempts that others win before it is taken apart */

    /* -- queued in its transaction */
    void (*place)(struct batch *b, struct lease *l); /* moves or fences it */
    void (*end)(struct batch *b); /* behind rows and letters; or NULL */

    /* -- behind it */
    void (*committed)(struct batch *b);
    enum commit_state (*state)(const struct batch *b,
                               const struct position *at);
    struct next (*resolved)(struct batch *b, const struct position *at,
                            enum commit_state state);

    /* -- when it failed */
    void (*shrink)(struct batch *b, bool is_late); /* the next ones have less */
    void (*search)(struct batch *b); /* for the record that is refused */
    struct next (*part)(struct batch *b, const struct err *e,
                        int64_t delay_ms); /* lost often enough: conflict.h */
};

/* kinds.c */
extern const struct batch_kind batch_of_records, batch_of_letters;

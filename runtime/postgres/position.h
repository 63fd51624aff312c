#pragma once
/*
 * Positions: a lane's next offset lives in tidemill.lane, and moves only in
 * the transaction that writes every record below it. A claim raises the epoch
 * with one UPDATE, which waits behind a zombie's commit and so fences it; the
 * compare-and-set of a batch names epoch and old offset and raises TM001 in
 * the server unless both still hold.
 */
#include "base/plan.h"
#include "postgres/conn.h"

/* One lane of a claim. */
struct position {
    const char *topic;
    int32_t partition;
    bool found;          /* out: tidemill.lane has it */
    int64_t next_offset; /* out, when found */
    int64_t epoch;       /* out, when found */
};

/* Queues the claim of all [n] (sorted) in one transaction. */
void position_claim(struct pgconn *c, const struct plan *p, const char *owner,
                    const struct position *lanes, uint32_t n);
/* Reads a claim's reply into the lanes. */
void position_claimed(const struct pgreply *r, struct position *lanes,
                      uint32_t n);
/* Queues the INSERT of a lane that was not found (ON CONFLICT DO NOTHING);
 * claim again afterwards. */
void position_create(struct pgconn *c, const struct plan *p, const char *topic,
                     int32_t partition, int64_t offset);
/* Queues the compare-and-set of one lane: TM001 unless it holds. */
void position_move(struct pgconn *c, const struct plan *p, const char *topic,
                   int32_t partition, int64_t epoch, int64_t from, int64_t to);
/* Queues the look for a lane row of the same Kafka group and topics but of
 * another pipeline: one row (pipeline, topic) for each found. */
void position_find_foreign(struct pgconn *c, const struct plan *p);

/* See lease_halt.h. */
#include "flow/run/lease_halt.h"

#include <inttypes.h>

#include "flow/halt/halts.h"
#include "postgres/store/position.h"

static void name_halt(const struct batch *b, const struct lease *l,
                      struct err *e)
{
    const struct record *rec = &b->input.records[l->halt];

    err_set(e, l->halt_class, "%s/%d offset %" PRId64 ": %s", rec->topic,
            rec->partition, rec->offset, l->halt_reason);
}

/* With the letters that made the lane halt: whoever comes next would set as
 * many aside again. */
void lease_halt_write(struct batch *b)
{
    struct err e;

    for (uint32_t i = 0; i < b->input.n_leases; i++) {
        struct lease *l = &b->input.leases[i];

        if (l->halt >= 0) {
            l->halted_since = wall_usec() / 1000000;
            name_halt(b, l, &e);
            const struct position at = {.topic = l->lane->topic,
                                        .partition = l->lane->partition,
                                        .epoch = l->epoch,
                                        .halted_since = l->halted_since};
            position_halt(b->attempt.conn, b->generation->plan, &at, e.text,
                          b->generation->plan->hash);
        }
    }
}

void lease_halt_committed(struct batch *b, const struct lease *l)
{
    struct lane *lane = l->lane;
    struct err e;

    if (l->halt < 0) {
        return;
    }
    lane->was_halted = true;
    lane->letters.has_halted |= b->input.stays;
    b->run->worker->show.counts->errors[l->halt_class]++;
    name_halt(b, l, &e);
    if (l->halted_since == 0) {
        halts_for_person(b->run->halts, lane, &e, b->generation->plan->hash);
        return;
    }
    halts_lane(b->run->halts, lane, &e, l->halted_since);
}

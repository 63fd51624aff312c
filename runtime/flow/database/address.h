#pragma once
/*
 * A new address without a restart: when the server refuses the password that we
 * have, or cannot be reached, the bundle is loaded again, in a VM of its own
 * that is thrown away, and the pool connects with what its file('...') gives
 * now. Only the address changes hands.
 */
#include "base/log.h"
#include "postgres/wire/pool.h"

struct bundle;

struct address {
    const struct bundle *bundle; /* borrowed */
    uint64_t *heartbeat;         /* borrowed: scripts may take longer than a
                                    worker may be silent */
    usec renewed_at;             /* the last time */
    struct said logged;          /* why it could not be read: log_once */
};

/* [e] is why a connection failed; reads every few seconds at most. True: there
 * is a new address, so the failure of the old one tells nothing. */
bool address_renew(struct address *a, struct pgpool *pool, const struct err *e,
                   usec now);

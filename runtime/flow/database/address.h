#pragma once
/*
 * A new address without a restart: when the server refuses the password that we
 * have, or cannot be reached, the bundle is loaded again, in a VM of its own that is
 * thrown away, and the pool connects with what its file('...') gives now. Only the
 * address changes hands.
 */
#include "base/err.h"

struct database;

/* [e] is why a connection failed; reads every few seconds at most. True: there
 * is a new address, so the failure of the old one tells nothing. */
bool address_renew(struct database *d, const struct err *e);

#pragma once
/* Where connections go, and how long anything on them may take. */
#include <stdbool.h>
#include <stdint.h>

#include "model/plan.h"

struct pgtarget {
    const char *conninfo; /* may hold a password */
    const char *application_name;
    struct plan_timeouts timeouts; /* connect_ms is for each address */
    bool must_write;   /* only a server that takes writes will do, unless the
                         conninfo has a target_session_attrs of its own */
    uint32_t host;     /* -- whose turn it is: see hosts.h */
    uint32_t address;  /* of that host */
    bool for_people;   /* see session.h */
    uint32_t n_sweeps; /* see prepared.h; may grow at any time */
    bool starts_plain; /* -- the server takes no options of ours at start-up */
};

/* An attempt at all of them. */
struct pgturns {
    uint32_t n_hosts;
    uint32_t n_addresses; /* of the host whose turn it is */
    uint32_t n_tried;     /* hosts that had their turn */
};

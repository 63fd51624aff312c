#pragma once
/*
 * The parent of the workers. It touches no record: it forks workers, watches
 * them, starts them again, answers the admin port and passes signals on. When
 * it dies, its workers die with it. Whatever happens to a worker, nothing is
 * lost, because positions and rows commit together.
 *
 * SIGTERM or SIGINT: workers get SIGTERM and 5 s, then SIGKILL; a second one
 * kills at once. SIGHUP: hangup.h. A worker that dies is started again (slot.h); one whose
 * heartbeat stands still for 20 s (page.heartbeat_seconds) is killed first. A
 * record at which two of them died is not tried again (watchdog.h).
 */
#include "admin/view.h"
#include "base/err.h"
#include "base/log.h"

struct bundle;

struct supervise_options {
    struct page *page;             /* borrowed; n_workers says how many */
    const struct admin_view *view; /* borrowed */
    const struct bundle *bundle;   /* borrowed: what workers load */
    const char *token;             /* of the admin port; NULL: none */
    int listen_fd;                 /* owned from now on; -1: no admin port */
    bool until_end;
    bool is_strict; /* the end is EX_DATAERR when records were set aside */
    /* Stop so long after all became ready, and with EX_UNAVAILABLE when they
     * do not within 60 s; 0: stop when told. */
    uint32_t seconds;
    uint64_t *ready_usec; /* out, may be NULL: when they were */
    /* Once a second; false stops the run with e. NULL: nothing to ask. */
    bool (*is_fine)(void *arg, struct err *e);
    void *arg;
};

/*
 * Runs until stopped; the exit status: 0, EX_DATAERR (65) when only halted
 * lanes remain or is_strict says so, what the workers gave up with, or EX_SOFTWARE. No handle of
 * librdkafka or libpq may exist in this process.
 */
int supervise_run(const struct supervise_options *o) MUSTCHECK;

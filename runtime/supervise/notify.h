#pragma once
/*
 * What systemd is told (Type=notify): sd_notify(3) without its library, a datagram
 * to the socket that NOTIFY_SOCKET names. Without that nothing is sent.
 *
 * READY=1 comes when each worker shows life: the pipeline is loaded, the admin
 * port answers. A database or a broker that is away does not keep a unit from
 * starting; STATUS= says what is waited for. WATCHDOG=1 comes from the loop of
 * the supervisor while no worker's heartbeat is too old.
 */
#include <stdint.h>

#include "admin/view.h"
#include "base/loop.h"

struct notify {
    const struct admin_view *view; /* borrowed */
    int fd;                        /* -1: there is nobody to tell */
    bool is_ready;                 /* it was said */
    usec watchdog;                 /* how often; 0: never */
    usec watched_at;
    uint64_t said; /* hash of the last status */
};

void notify_open(struct notify *n, const struct admin_view *view);
void notify_close(struct notify *n);
/* Every tick. */
void notify_tick(struct notify *n, usec now);
/* A reload was asked for, and is over. */
void notify_reloaded(struct notify *n, usec now);
void notify_stopping(struct notify *n);

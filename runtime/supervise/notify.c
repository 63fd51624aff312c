/* See notify.h. */
#include "supervise/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/health.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "supervise/totals.h"

/* The part of systemd's limit after which it hears of us again. */
enum { WATCHDOG_SHARE = 3 };

/* "/run/x" or, of the abstract ones, "@x"; false: it is neither. */
static bool read_address(const char *name, struct sockaddr_un *out,
                         socklen_t *len)
{
    size_t n = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || n < 2 ||
        n >= sizeof(out->sun_path)) {
        return false;
    }
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, name, n);
    if (name[0] == '@') {
        out->sun_path[0] = '\0';
    }
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

/* WATCHDOG_PID is of the process that is meant, if it is there. */
static usec read_watchdog(void)
{
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (!text || (pid && strtol(pid, NULL, 10) != getpid())) {
        return 0;
    }
    return strtoull(text, NULL, 10) / WATCHDOG_SHARE;
}

static void note(const char *name, const char *why)
{
    log_line(LOG_WARN, "systemd cannot be told how the run stands",
             "NOTIFY_SOCKET=%s why=%s", log_quote(name), log_quote(why));
}

void notify_open(struct notify *n, const struct admin_view *view)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len;

    *n = (struct notify){.view = view, .fd = -1};
    if (!name || !*name) {
        return;
    }
    if (!read_address(name, &address, &len)) {
        note(name, "it is neither a path nor an abstract socket");
        return;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->fd < 0 ||
        connect(n->fd, (const struct sockaddr *)&address, len) != 0) {
        note(name, strerror(errno));
        notify_close(n);
    }
    n->watchdog = read_watchdog();
}

void notify_close(struct notify *n)
{
    if (n->fd >= 0) {
        close(n->fd);
        n->fd = -1;
    }
}

/* Who does not read it now is told again. */
static bool send_text(struct notify *n, const char *text)
{
    return n->fd >= 0 && send(n->fd, text, strlen(text), MSG_NOSIGNAL) >= 0;
}

static bool workers_live(const struct page *p)
{
    for (uint32_t i = 0; i < p->n_workers; i++) {
        if (p->workers[i].heartbeat_usec == 0) {
            return false;
        }
    }
    return true;
}

static void tell_status(struct notify *n)
{
    const struct page *p = n->view->page;
    char text[400], why[300];
    struct totals t;

    totals_read(p, &t);
    snprintf(why, sizeof(why), "%.255s", totals_waiting_for(p));
    utf8_clean_line(why);
    snprintf(text, sizeof(text),
             "STATUS=%s: %u of %u workers ready, %u lanes, %u halted, %" PRIu64
             " dead letters%s%s",
             n->view->name, t.workers_ready, p->n_workers, t.lanes_running,
             t.lanes_halted, t.letters,
             t.workers_ready < p->n_workers ? "; " : "",
             t.workers_ready < p->n_workers ? why : "");
    if (hash_text(text) != n->said && send_text(n, text)) {
        n->said = hash_text(text);
    }
}

static void feed_watchdog(struct notify *n, usec now)
{
    struct buf unused = {0};

    if (n->watchdog && now - n->watched_at >= n->watchdog &&
        health_is_live(n->view, &unused) && send_text(n, "WATCHDOG=1")) {
        n->watched_at = now;
    }
    buf_close(&unused);
}

void notify_tick(struct notify *n, usec now)
{
    if (n->fd < 0) {
        return;
    }
    if (!n->is_ready && workers_live(n->view->page)) {
        n->is_ready = send_text(n, "READY=1");
    }
    tell_status(n);
    feed_watchdog(n, now);
}

/* Type=notify-reload waits for both. */
void notify_reloaded(struct notify *n, usec now)
{
    char text[80];

    if (n->is_ready) {
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                 now);
        n->is_ready = send_text(n, text) && send_text(n, "READY=1");
    }
}

void notify_stopping(struct notify *n)
{
    send_text(n, "STOPPING=1");
}

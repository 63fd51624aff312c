/* HTTP for operators: see admin.h. The only file that knows libmicrohttpd. */
#include "admin/admin.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "admin/clients.h"
#include "admin/health.h"
#include "admin/metrics.h"
#include "base/arena.h"
#include "base/buf.h"

struct admin {
    struct MHD_Daemon *daemon;     /* owned */
    struct loop_io *io;            /* of the daemon's epoll descriptor */
    struct loop_timer *timer;      /* closes idle connections */
    const struct admin_view *view; /* borrowed */
    const char *token;             /* borrowed; NULL: none is asked for */
    struct clients clients;
};

struct answer {
    const struct admin_view *view; /* borrowed */
    bool is_trusted;               /* who asked */
    struct buf body;
    unsigned status;
    const char *content_type;
    const char *extra_name; /* one more header; NULL: none */
    const char *extra_value;
};

static const char plain[] = "text/plain; charset=utf-8";
static const char paths[] =
    "/livez    200 while the supervisor and its workers respond\n"
    "/readyz   200 when every worker is ready, else 503 and the reasons\n"
    "/metrics  Prometheus text\n"
    "/status   workers and lanes as JSON\n";

static void answer_live(struct answer *out)
{
    out->status = health_is_live(out->view, &out->body) ? 200 : 503;
}

static void answer_ready(struct answer *out)
{
    out->status = health_is_ready(out->view, &out->body) ? 200 : 503;
    if (out->status != 200 && !out->is_trusted) {
        /* The reasons name hosts and topics. */
        buf_clear(&out->body);
        buf_puts(&out->body, "not ready\n");
    }
}

static void answer_metrics(struct answer *out)
{
    out->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_write(out->view, &out->body);
}

static void answer_status(struct answer *out)
{
    out->content_type = "application/json";
    status_write(out->view, &out->body);
}

static void answer_index(struct answer *out)
{
    buf_puts(&out->body, paths);
}

static const struct route {
    const char *path;
    void (*answer)(struct answer *out);
    bool is_open; /* without the token */
} routes[] = {
    {"/livez", answer_live, true},       {"/readyz", answer_ready, true},
    {"/metrics", answer_metrics, false}, {"/status", answer_status, false},
    {"/", answer_index, false},
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

/* Compares all of [given], so that the time taken tells nothing about where
 * the first wrong byte is. */
static bool is_same_secret(const char *given, const char *secret)
{
    size_t n = strlen(given), n_secret = strlen(secret);
    unsigned difference = n != n_secret;
    for (size_t i = 0; i < n; i++) {
        difference |= (unsigned char)(given[i] ^ secret[i % (n_secret + 1)]);
    }
    return difference == 0;
}

static bool is_trusted(const struct admin *a, struct MHD_Connection *http)
{
    static const char scheme[] = "Bearer ";
    if (!a->token) {
        return true;
    }
    const char *given =
        MHD_lookup_connection_value(http, MHD_HEADER_KIND, "Authorization");
    return given && strncasecmp(given, scheme, strlen(scheme)) == 0 &&
           is_same_secret(given + strlen(scheme), a->token);
}

static enum MHD_Result answer_send(struct MHD_Connection *http,
                                   struct answer *out)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        out->body.len, out->body.data, MHD_RESPMEM_MUST_COPY);
    buf_close(&out->body);
    if (!r) {
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", out->content_type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (out->extra_name) {
        MHD_add_response_header(r, out->extra_name, out->extra_value);
    }
    enum MHD_Result result = MHD_queue_response(http, out->status, r);
    MHD_destroy_response(r);
    return result;
}

static void answer_refuse(struct answer *out, unsigned status, const char *why)
{
    out->status = status;
    buf_puts(&out->body, why);
}

static void answer_make(const struct admin *a, struct MHD_Connection *http,
                        const char *path, const char *method,
                        struct answer *out)
{
    const struct route *r = find_route(path);

    out->view = a->view;
    out->is_trusted = is_trusted(a, http);
    if (!out->is_trusted && (!r || !r->is_open)) {
        answer_refuse(out, 401, "send Authorization: Bearer and the token\n");
        out->extra_name = "WWW-Authenticate";
        out->extra_value = "Bearer";
    } else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        answer_refuse(out, 405, "only GET is understood here\n");
        out->extra_name = "Allow";
        out->extra_value = "GET, HEAD";
    } else if (!r) {
        answer_refuse(out, 404, "there is no such page; there are:\n");
        buf_puts(&out->body, paths);
    } else {
        r->answer(out);
    }
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *http,
                              const char *path, const char *method,
                              const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct answer out = {.status = 200, .content_type = plain};

    (void)version;
    (void)upload;
    /* First call: headers only. Answering then would cut an upload short. */
    if (!*state) {
        *state = arg; /* any mark will do */
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    answer_make(arg, http, path, method, &out);
    return answer_send(http, &out);
}

static int fd_of(struct MHD_Connection *http)
{
    return MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD)
        ->connect_fd;
}

static void on_connection(void *arg, struct MHD_Connection *http, void **mark,
                          enum MHD_ConnectionNotificationCode what)
{
    struct admin *a = arg;

    (void)mark;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        clients_enter(
            &a->clients, fd_of(http),
            MHD_get_connection_info(http, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
                ->client_addr,
            clock_usec());
    } else {
        clients_leave(&a->clients, fd_of(http));
    }
}

static void on_completed(void *arg, struct MHD_Connection *http, void **mark,
                         enum MHD_RequestTerminationCode how)
{
    struct admin *a = arg;

    (void)mark;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK) {
        clients_served(&a->clients, fd_of(http), clock_usec());
    }
}

/* The daemon's epoll set is edge triggered inside: as long as it reports no
 * wait it still has work. Bounded, so that a client cannot hold the loop. */
static void admin_turn(void *arg)
{
    struct admin *a = arg;
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    usec now = clock_usec(), next = clients_expire(&a->clients, now);
    bool has_timeout = false;
    for (int turn = 0; turn < 32; turn++) {
        MHD_run(a->daemon);
        has_timeout = MHD_get_timeout(a->daemon, &wait_ms) == MHD_YES;
        if (!has_timeout || wait_ms > 0) {
            break;
        }
    }
    if (has_timeout) {
        loop_timer_set(a->timer, wait_ms > 0 ? (usec)wait_ms * 1000 : 1000);
    } else if (a->clients.n > 0) {
        loop_timer_set(a->timer, next > now ? next - now : 1000000);
    } else {
        loop_timer_stop(a->timer);
    }
}

static void admin_on_io(void *arg, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    admin_turn(arg);
}

static struct MHD_Daemon *daemon_start(struct admin *a, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, handle, a, MHD_OPTION_LISTEN_SOCKET, fd,
        /* Above CLIENT_PLACES: who was shut down has a place until the daemon
         * has seen it. */
        MHD_OPTION_CONNECTION_LIMIT, 128u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)(32 * 1024), MHD_OPTION_NOTIFY_CONNECTION, on_connection, a,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, a, MHD_OPTION_END);
}

struct admin *admin_new(struct loop *l, int fd, const struct admin_view *view,
                        const char *token, struct err *e)
{
    struct admin *a = mem_zero(1, sizeof(*a));
    a->view = view;
    a->token = token;
    a->daemon = daemon_start(a, fd);
    const union MHD_DaemonInfo *info =
        a->daemon ? MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD)
                  : NULL;
    if (!info) {
        err_set(e, ERR_FATAL, "libmicrohttpd did not start the admin port");
        admin_free(a);
        return NULL;
    }
    a->timer = loop_timer_new(l, admin_turn, a);
    a->io = loop_io_new(l, info->epoll_fd, admin_on_io, a);
    loop_io_want(a->io, true, false);
    return a;
}

void admin_free(struct admin *a)
{
    if (a->io) {
        loop_io_free(a->io);
        loop_timer_free(a->timer);
    }
    if (a->daemon) {
        MHD_stop_daemon(a->daemon);
    }
    free(a);
}

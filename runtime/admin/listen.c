/* Address and listening socket of the admin port: see listen.h. */
#include "admin/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/loop.h"

static bool is_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' &&
           strlen(text) <= 5 && port <= 65535;
}

bool listen_parse(const char *text, struct listen_address *out, struct err *e)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1)) {
        return err_set(e, ERR_CONFIG,
                       "'%s' is no HOST:PORT; an example is 127.0.0.1:9465",
                       text);
    }
    const char *host = text;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(out->host)) {
        return err_set(e, ERR_CONFIG, "the host of '%.40s...' is too long",
                       text);
    }
    if (len == 0) {
        host = "127.0.0.1";
        len = strlen(host);
    }
    snprintf(out->host, sizeof(out->host), "%.*s", (int)len, host);
    snprintf(out->port, sizeof(out->port), "%s", colon + 1);
    return true;
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)a;
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* A listening socket, or -1 with errno. */
static int open_once(const struct addrinfo *a)
{
    int fd =
        socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    /* A port in TIME_WAIT is free; one with a listener stays refused. */
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 64) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* Of a run that is just ending, or of another pipeline. */
static void tell_waits(const struct listen_address *a, int64_t retry_ms)
{
    log_line(LOG_WARN, "the admin port is in use; waiting for it",
             "admin=%s:%s seconds=%d hint=\"another run has it: each needs its "
             "own --admin HOST:PORT, or --admin off\"",
             a->host, a->port, (int)(retry_ms / 1000));
}

static bool open_until(const struct listen_address *address,
                       const struct addrinfo *a, int64_t retry_ms, int *fd)
{
    usec until = clock_usec() + (usec)retry_ms * 1000;
    bool is_told = false;
    while ((*fd = open_once(a)) < 0) {
        if (errno != EADDRINUSE || clock_usec() >= until) {
            return false;
        }
        if (!is_told) {
            is_told = true;
            tell_waits(address, retry_ms);
            errno = EADDRINUSE;
        }
        usleep(100 * 1000);
    }
    return true;
}

static bool resolve(const struct listen_address *a, struct addrinfo **out,
                    struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int code = getaddrinfo(a->host, a->port, &hints, out);
    return code == 0 ||
           err_set(e, ERR_CONFIG, "no address for the host '%s': %s", a->host,
                   gai_strerror(code));
}

static bool open_failed(const struct listen_address *a, struct err *e)
{
    if (errno == EADDRINUSE) {
        return err_set(e, ERR_CONFIG,
                       "port %s on %s is in use by another process: stop that "
                       "one, or choose another port with --admin HOST:PORT "
                       "(or --admin off)",
                       a->port, a->host);
    }
    return err_set(e, ERR_CONFIG,
                   "cannot listen on %s port %s: %s: choose another address "
                   "with --admin HOST:PORT",
                   a->host, a->port, strerror(errno));
}

static void read_port(struct listen_address *a, int fd)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0) {
        getnameinfo((struct sockaddr *)&bound, len, NULL, 0, a->port,
                    sizeof(a->port), NI_NUMERICSERV);
    }
}

bool listen_open(struct listen_address *a, bool may_be_public, int64_t retry_ms,
                 int *fd, struct err *e)
{
    struct addrinfo *found;
    if (!resolve(a, &found, e)) {
        return false;
    }
    bool ok;
    if (!may_be_public && !is_loopback(found->ai_addr)) {
        ok = err_set(e, ERR_CONFIG,
                     "%s is not a loopback address, so others could read and "
                     "steer this pipeline: add --admin-token-file FILE",
                     a->host);
    } else {
        ok = open_until(a, found, retry_ms, fd) || open_failed(a, e);
    }
    if (ok) {
        read_port(a, *fd);
    }
    freeaddrinfo(found);
    return ok;
}

/* See admin_client.h. */
#include "cli/operator/admin_client.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "admin/json.h"
#include "admin/listen.h"

enum { ANSWER_BYTES = 64 * 1024, TOO_LONG_SECONDS = 1 };

static int dial(const struct listen_address *a)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    const struct timeval timeout = {.tv_sec = TOO_LONG_SECONDS};
    struct addrinfo *list = NULL;
    int fd = -1;
    if (getaddrinfo(a->host, a->port, &hints, &list) != 0) {
        return -1;
    }
    for (const struct addrinfo *i = list; i && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            break;
        }
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, i->ai_addr, i->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

/* The answer's status, 0: there is none; [out] gets as much of its body as is
 * wanted. */
static int get(const struct listen_address *a, const char *page,
               struct buf *out)
{
    char request[400], piece[4096];
    int fd = dial(a), status = 0;
    ssize_t n;
    if (fd < 0) {
        return 0;
    }
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", page, a->host);
    buf_clear(out);
    n = send(fd, request, (size_t)len, MSG_NOSIGNAL);
    while (n > 0 && out->len < ANSWER_BYTES) {
        n = recv(fd, piece, sizeof(piece), 0);
        buf_put(out, piece, n > 0 ? (size_t)n : 0);
    }
    close(fd);
    if (sscanf(buf_text(out), "HTTP/%*s %d", &status) != 1) {
        return 0;
    }
    return status;
}

static const char *body_of(struct buf *answer)
{
    const char *body = strstr(buf_text(answer), "\r\n\r\n");
    return body ? body + 4 : "";
}

static bool is_of(struct buf *status, const char *pipeline)
{
    struct buf begin = {0};
    json_open(&begin, '{');
    json_key(&begin, "name");
    json_text(&begin, pipeline);
    bool is_same = strncmp(body_of(status), buf_text(&begin), begin.len) == 0;
    buf_close(&begin);
    return is_same;
}

enum admin_client_answer admin_client_ask(const char *admin,
                                          const char *pipeline, struct buf *out)
{
    struct listen_address a;
    struct buf answer = {0};
    struct err e;
    enum admin_client_answer result = ADMIN_CLIENT_NONE;
    int status = listen_parse(admin, &a, &e) ? get(&a, "/status", &answer) : 0;
    if (status == 401 || status == 403) {
        result = ADMIN_CLIENT_LOCKED;
    } else if (status == 200 && is_of(&answer, pipeline) &&
               get(&a, "/readyz", &answer) != 0) {
        const char *body = body_of(&answer);
        result = ADMIN_CLIENT_SAYS;
        buf_puts(out, strncmp(body, "ok\n", 3) == 0 ? body + 3 : body);
    }
    buf_close(&answer);
    return result;
}

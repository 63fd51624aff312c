/* Workers' stderr on its way to the terminal: see relay.h. */
#include "supervise/relay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"

/* A line of the log is shorter; what is longer is none of ours. */
enum { LINE_MOST = 65536 };

struct relay {
    struct live *live; /* borrowed */
    struct loop_io *io;
    int read_fd, write_fd;
    struct buf held; /* the beginning of a line */
};

/* Length of the whole lines in front. */
static size_t whole_lines(const struct buf *b)
{
    const char *newline = b->len == 0 ? NULL : memrchr(b->data, '\n', b->len);
    return newline ? (size_t)(newline - b->data) + 1 : 0;
}

/* A library that ends a worker writes what it pleases. */
static void pass_json(struct relay *r, size_t n)
{
    const char *p = r->held.data, *end = p + n;

    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p);

        if (newline && log_is_line(p, len)) {
            live_print(r->live, p, len + 1);
        } else if (len > 0) {
            log_foreign(p, len);
        }
        p += len + 1;
    }
}

static void pass_on(struct relay *r, size_t n)
{
    if (n == 0) {
        return;
    }
    if (log_is_json()) {
        pass_json(r, n);
    } else {
        live_print(r->live, r->held.data, n);
    }
    memmove(r->held.data, r->held.data + n, r->held.len - n);
    r->held.len -= n;
}

static bool fill(struct relay *r)
{
    enum { CHUNK = 16384 };
    buf_reserve(&r->held, CHUNK);
    ssize_t n = read(r->read_fd, r->held.data + r->held.len, CHUNK);
    r->held.len += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static void on_readable(void *arg, bool readable, bool writable)
{
    (void)readable;
    (void)writable;
    struct relay *r = arg;
    if (fill(r)) {
        size_t n = whole_lines(&r->held);
        pass_on(r, n > 0 || r->held.len < LINE_MOST ? n : r->held.len);
    }
}

struct relay *relay_new(struct loop *l, struct live *live)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return NULL;
    }
    /* Only our end: how the other one is written says base/stderr.h. */
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    struct relay *r = mem_zero(1, sizeof(*r));
    r->live = live;
    r->read_fd = ends[0];
    r->write_fd = ends[1];
    r->io = loop_io_new(l, r->read_fd, on_readable, r);
    loop_io_want(r->io, true, false);
    return r;
}

void relay_free(struct relay *r)
{
    while (fill(r)) {
    }
    pass_on(r, r->held.len);
    loop_io_free(r->io);
    close(r->read_fd);
    close(r->write_fd);
    buf_close(&r->held);
    free(r);
}

int relay_fd(const struct relay *r)
{
    return r->write_fd;
}

/* See stderr.h. */
#include "base/stderr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A reader that is only slow, such as the journal under load, gets so long. */
enum { PATIENCE_MS = 50 };

static enum {
    WAITING, /* write(2), which may wait; files never do for long */
    REOPENED,
    SOCKET,
    POLLED /* a pipe of another user's, which cannot be opened again */
} way;
static int fd = STDERR_FILENO;
static bool is_stuck, is_cut, is_drawn;

void stderr_never_wait(void)
{
    struct stat st;
    int again;

    way = WAITING;
    fd = STDERR_FILENO;
    is_stuck = is_cut = is_drawn = false;
    if (fstat(fd, &st) != 0 ||
        !(S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) || isatty(fd))) {
        return;
    }
    if (S_ISSOCK(st.st_mode)) {
        way = SOCKET;
        return;
    }
    again =
        open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    way = again >= 0 ? REOPENED : POLLED;
    fd = again >= 0 ? again : fd;
}

static bool is_writable(int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    return poll(&p, 1, ms) > 0;
}

static ssize_t put(const char *text, size_t len)
{
    switch (way) {
    case SOCKET:
        return send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    case POLLED: /* a pipe that is writable has room for PIPE_BUF bytes */
        if (!is_writable(0)) {
            errno = EAGAIN;
            return -1;
        }
        return write(fd, text, len < PIPE_BUF ? len : PIPE_BUF);
    default:
        return write(fd, text, len);
    }
}

/* How much of it was taken. */
static size_t put_all(const char *text, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = put(text + done, len - done);

        if (n > 0) {
            done += (size_t)n;
            is_stuck = false;
        } else if (n < 0 && errno == EAGAIN && !is_stuck) {
            is_stuck = !is_writable(PATIENCE_MS);
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    return done;
}

bool stderr_write(const char *text, size_t len)
{
    size_t done;

    stderr_clear();
    if (is_cut && put_all("\n", 1) == 0) {
        return false;
    }
    done = put_all(text, len);
    is_cut = done > 0 && done < len;
    return done == len;
}

void stderr_draw(const char *line, size_t len)
{
    is_drawn = false;
    is_drawn = stderr_write(line, len);
}

void stderr_clear(void)
{
    if (is_drawn) {
        is_drawn = false;
        put_all(STDERR_CLEAR, sizeof(STDERR_CLEAR) - 1);
    }
}

/* See hangup.h. */
#include "supervise/hangup.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/* The kernel takes a terminal that hung up from all processes of its session. */
static bool is_on_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

void hangup_init(struct hangup *h)
{
    struct sigaction before = {.sa_handler = SIG_DFL};

    sigaction(SIGHUP, NULL, &before);
    h->is_ignored = before.sa_handler == SIG_IGN;
    h->has_terminal = is_on_terminal();
}

bool hangup_ends(const struct hangup *h)
{
    return !h->is_ignored && h->has_terminal && !is_on_terminal();
}

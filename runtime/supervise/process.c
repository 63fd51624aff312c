/* Children that cannot outlive their parent: see process.h. */
#include "supervise/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

void process_die_with_parent(pid_t parent, int signum)
{
    prctl(PR_SET_PDEATHSIG, signum);
    /* The parent may have died before the kernel was asked. */
    if (getppid() != parent) {
        _exit(0);
    }
}

static void reset_signals(void)
{
    for (int signum = 1; signum < NSIG; signum++) {
        signal(signum, SIG_DFL);
    }
    signal(SIGPIPE, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become_child(pid_t parent, int stderr_fd)
{
    process_die_with_parent(parent, SIGKILL);
    if (stderr_fd >= 0) {
        dup2(stderr_fd, STDERR_FILENO);
    }
    close_range(STDERR_FILENO + 1, ~0U, 0);
    reset_signals();
}

pid_t process_fork(int stderr_fd)
{
    /* A signal that came between fork and reset would run the parent's
     * handler in the child and be lost. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become_child(parent, stderr_fd);
        return 0;
    }
    int why = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

void process_describe_end(int wait_status, char *out, size_t cap)
{
    if (WIFSIGNALED(wait_status)) {
        int signum = WTERMSIG(wait_status);
        snprintf(out, cap, "signal %d (%s)", signum, strsignal(signum));
    } else {
        snprintf(out, cap, "exit status %d", WEXITSTATUS(wait_status));
    }
}

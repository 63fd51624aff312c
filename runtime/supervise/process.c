/* Children that cannot outlive their parent: see process.h. */
#include "supervise/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_FILES = 65536 };

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
    signal(SIGHUP, SIG_IGN);  /* of a terminal: its parent decides */
    signal(SIGXFSZ, SIG_IGN); /* a log that may not grow kills no worker */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A listener that a child keeps would hold its port after the parent's end. */
static void close_inherited(void)
{
    struct rlimit files;

    if (close_range(STDERR_FILENO + 1, ~0U, 0) == 0) {
        return;
    }
    /* A kernel before 5.9, or a filter of system calls. */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > MOST_FILES) {
        files.rlim_cur = MOST_FILES;
    }
    for (int fd = STDERR_FILENO + 1; fd < (int)files.rlim_cur; fd++) {
        close(fd);
    }
}

static void become_child(pid_t parent, int stderr_fd)
{
    process_die_with_parent(parent, SIGKILL);
    if (stderr_fd >= 0) {
        dup2(stderr_fd, STDERR_FILENO);
    }
    close_inherited();
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

void process_describe_failure(int why, char *out, size_t cap)
{
    struct rlimit limit = {0};
    const char *text = strerror(why);

    if (why == EAGAIN && getrlimit(RLIMIT_NPROC, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY) {
        snprintf(out, cap,
                 "%s: RLIMIT_NPROC is %llu processes and threads of this user "
                 "(ulimit -u), or pids.max of the cgroup is reached",
                 text, (unsigned long long)limit.rlim_cur);
    } else if (why == EAGAIN) {
        snprintf(out, cap,
                 "%s: pids.max of the cgroup or kernel.pid_max is "
                 "reached",
                 text);
    } else if (why == ENOMEM) {
        snprintf(out, cap,
                 "%s: see memory.max of the cgroup and "
                 "vm.overcommit_memory",
                 text);
    } else {
        snprintf(out, cap, "%s", text);
    }
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

#pragma once
/*
 * A child that cannot outlive its parent. In the child every inherited
 * descriptor but the three standard ones is closed (listeners, the loop's epoll
 * set), signals are back to their defaults and unblocked, SIGPIPE, SIGHUP
 * and SIGXFSZ are ignored, and the kernel kills it when the parent dies, however that dies.
 */
#include <sys/types.h>

/* fork(): 0 in the child, its pid in the parent, -1 with errno. [stderr_fd]
 * becomes the child's standard error; -1 leaves it. */
pid_t process_fork(int stderr_fd);
/* Kills the calling process by [signum] when its parent, [parent], dies. To be
 * called again after a change of user, which clears it. */
void process_die_with_parent(pid_t parent, int signum);
/* Why process_fork() gave -1, with the limits that may be meant: [why] is
 * errno. */
void process_describe_failure(int why, char *out, size_t cap);
/* "signal 9 (Killed)" or "exit status 70". */
void process_describe_end(int wait_status, char *out, size_t cap);

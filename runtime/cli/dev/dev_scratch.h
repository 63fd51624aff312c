#pragma once
/* The folder that holds everything `dev` makes: made under $TMPDIR or /tmp,
 * closed to other users, removed at the end. */
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct dev_scratch {
    char path[80]; /* short: a unix socket's path has to fit behind it */
    uid_t uid;     /* who owns it: root cannot run PostgreSQL, so as root the */
    gid_t gid;     /* user postgres does */
};

bool dev_scratch_make(struct dev_scratch *s, struct err *e) MUSTCHECK;
void dev_scratch_remove(const struct dev_scratch *s);
/* For a child of `dev`: a session of its own, so that Ctrl-C reaches `dev`
 * only; the owner's rights; death by [signum] when `dev` dies. */
void dev_scratch_become_owner(const struct dev_scratch *s, pid_t parent,
                              int signum);
